package gateway_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"time"
)

// client is an MQTT client of bytes: what it sends is written out by the test.
type client struct {
	*node

	conn net.Conn
	v5   bool
}

// packet puts the fixed header before a body.
func packet(first byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(all))), all...)
}

// text is a string of MQTT.
func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// connectOf is a CONNECT; of version 5 props follow the keep alive, and willProps a
// Will's own are empty.
func connectOf(version, flags byte, keepAlive uint16, props string, fields ...string) []byte {
	head := append(text("MQTT"), version, flags)
	head = binary.BigEndian.AppendUint16(head, keepAlive)
	if version == 5 {
		head = append(append(head, byte(len(props))), props...)
	}
	for i, f := range fields {
		if version == 5 && i == 1 && flags&4 != 0 {
			head = append(head, 0) // properties of the Will
		}
		head = append(head, text(f)...)
	}
	return packet(0x10, head)
}

// mqtt opens a socket to the node.
func (n *node) mqtt(v5 bool) *client {
	n.Helper()
	conn, err := net.Dial("tcp", n.server.Addrs()[1].String())
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{n, conn, v5}
}

// mqttDevice is a client that was let in.
func (n *node) mqttDevice(name string, v5 bool) *client {
	n.Helper()
	c := n.mqtt(v5)
	version := byte(4)
	if v5 {
		version = 5
	}
	c.send(connectOf(version, 2, 60, "", name))
	if ack := c.read(); ack[0] != 0x20 || ack[3] != 0 {
		n.Fatalf("CONNECT was answered % x", ack)
	}
	return c
}

func (c *client) send(packets ...[]byte) {
	c.Helper()
	if _, err := c.conn.Write(bytes.Join(packets, nil)); err != nil {
		c.Fatal(err)
	}
}

// publishOf is a PUBLISH; id 0 has it of QoS 0.
func (c *client) publishOf(id uint16, topic, payload string) []byte {
	first, head := byte(0x30), text(topic)
	if id != 0 {
		first, head = 0x32, binary.BigEndian.AppendUint16(head, id)
	}
	if c.v5 {
		head = append(head, 0)
	}
	return packet(first, head, []byte(payload))
}

// next is the next packet; nil at the end of the stream.
func (c *client) next() []byte {
	c.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.conn, head); err == io.EOF {
		return nil
	} else if err != nil {
		c.Fatal(err)
	}
	for head[len(head)-1] >= 0x80 {
		head = append(head, 0)
		if _, err := io.ReadFull(c.conn, head[len(head)-1:]); err != nil {
			c.Fatal(err)
		}
	}
	length, _ := binary.Uvarint(head[1:])
	body := make([]byte, length)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		c.Fatal(err)
	}
	return append(head, body...)
}

// read is next where one has to come.
func (c *client) read() []byte {
	c.Helper()
	p := c.next()
	if p == nil {
		c.Fatal("the connection was closed")
	}
	return p
}

// want reads one packet and compares.
func (c *client) want(what string, want ...byte) {
	c.Helper()
	if got := c.read(); !bytes.Equal(got, want) {
		c.Fatalf("%s: got % x, want % x", what, got, want)
	}
}

// wantEnd waits for a DISCONNECT with a reason, where the version has it, and the end.
func (c *client) wantEnd(reason byte) {
	c.Helper()
	p := c.next()
	if c.v5 {
		if p == nil || p[0] != 0xe0 || p[2] != reason {
			c.Fatalf("got % x, want a DISCONNECT with %#x", p, reason)
		}
		p = c.next()
	}
	if p != nil {
		c.Fatalf("% x behind the end", p)
	}
}
