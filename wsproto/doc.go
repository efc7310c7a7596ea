// Package wsproto speaks the server's side of WebSocket (RFC 6455 with
// permessage-deflate, RFC 7692) over byte slices.
//
// Bytes go in and events come out; nothing here reads a socket, starts a
// goroutine, takes a lock or asks for the time, so every path can be tested
// with a slice and a loop. A connection passes through two stages:
//
//	FindHeaderBlock  → Handshake.Parse → Handshake.AppendResponse or Refusal.Append
//	Decoder.Next → Event            AppendFrame, AppendClose, AppendCompressed
//
// # Owns
// The text of the opening handshake, the frame header, masking, reassembly,
// the UTF-8 and close rules, and compression. Each line that implements a
// clause of an RFC carries its tag, and so does the test that proves it;
// scripts/rfc-tags.sh compares the two.
//
// # Goroutines
// None. A Handshake or Decoder belongs to one goroutine at a time. All connections share
// a DecoderConfig, a HandshakeConfig and a Deflater; any goroutine may use them.
//
// # Memory
// Between messages a Decoder is two words and owns no buffer. The part of an unfinished
// message that has arrived is in pooled memory, which grows with those bytes and never
// with a length that the peer declared. The encoder appends to the caller's slice.
//
// # Errors
// A Refusal is the HTTP answer to a handshake that cannot be accepted. A
// CloseError says with which code to close the connection; the decoder returns
// preallocated ones, so they can be compared. Calls after the end return ErrClosed. After
// any error the connection is of no further use.
//
// # When full
// A header block over its limit is refused with 431. A frame or message over its limit
// closes with 1009, before any memory is taken for it.
//
// # Not here
// Deadlines, sockets, answering pings and closes: eventloop. What a message
// means: envelope. Which paths and tokens are accepted: gateway.
package wsproto
