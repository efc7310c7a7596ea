package grpcapi

import (
	"edgeloop/admin/access"
	v1 "edgeloop/api/edgeloop/v1"
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
