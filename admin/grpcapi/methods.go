package grpcapi

import (
	"edgeloop/admin/access"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/overload"
)

// method is one row of the table of calls. What is not in it is open to nobody.
type method struct {
	scope  access.Scope // that the token must have
	change string       // what it changes, for the audit; "": nothing
	// streams: it goes on for long, and counts among the streams.
	streams bool
}

// methods is all that can be called, by full name; a test compares it with the services.
var methods = map[string]method{
	v1.Log_Read_FullMethodName:        {access.Read, "open reader", true},
	v1.Log_Seek_FullMethodName:        {access.Read, "seek", false},
	v1.Commands_Send_FullMethodName:   {access.Command, "command", false},
	v1.Commands_List_FullMethodName:   {access.Read, "", false},
	v1.Commands_Cancel_FullMethodName: {access.Command, "cancel", false},
	v1.Presence_List_FullMethodName:   {access.Read, "", false},
	v1.Presence_Watch_FullMethodName:  {access.Read, "", true},

	// What a service consists of is told to those who may read.
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {access.Read, "", true},
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {access.Read, "", true},
}

// sheds are the calls that a node with too much to do refuses, by what they are to it; all
// others are served in every state, and so is what has begun. A reader is refused as any tail
// that begins, wherever it does: one that catches up is slowed down.
var sheds = map[string]overload.Load{
	v1.Log_Read_FullMethodName:       overload.Tail,
	v1.Presence_List_FullMethodName:  overload.List,
	v1.Presence_Watch_FullMethodName: overload.List, // it begins with all who are connected
}
