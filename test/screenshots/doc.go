// Command screenshots takes pictures of the dashboard of a running node in Chromium: at
// the widths and in the schemes given, for people to look at. scripts/screenshots.sh runs
// the node.
package main
