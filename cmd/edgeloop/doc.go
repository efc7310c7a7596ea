// Command edgeloop is the device ingestion edge node and the tool to look after it.
//
//	edgeloop serve      run a node
//	edgeloop token      print a token for a device
//	edgeloop devices    list devices
//	edgeloop send       send a command to a device
//	edgeloop commands   list the commands that wait for a device; cancel
//	edgeloop kick       close a device's connection
//	edgeloop revoke     take tokens back; unrevoke, revoked
//	edgeloop ban        keep a device out; unban, bans
//	edgeloop tail       print the log
//	edgeloop node       say what a node is and does
//	edgeloop limits     show limits, or change them while the node runs
//	edgeloop reload     have a node read its keys, tokens and settings again
//	edgeloop drain      send the devices of a node away
//	edgeloop echo       run an echo server: only the event loop and the frames
//	edgeloop doctor     say how many devices this machine can hold, and what limits it
//	edgeloop version    print the version
//
// # Owns
//
// Flags, environment and configuration file; signals; the order in which the
// parts are built and stopped. Nothing else: each part is a package.
//
// # Errors
//
// Exit code 0 after an orderly stop, 1 after a failure, 2 for a wrong flag,
// variable or key, before anything was started.
package main
