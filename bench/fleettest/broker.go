package fleettest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// Broker serves a made-up broker of MQTT and returns its URL: answer is what it says to each
// packet, whose number on its connection counts from 0. It ends with the test.
func Broker(t testing.TB, answer func(first byte, body []byte, number int) []byte) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for n := 0; ; n++ {
					first, body, err := readPacket(r)
					if err != nil {
						return
					}
					if _, err := c.Write(answer(first, body, n)); err != nil {
						return
					}
				}
			})
		}
	})
	return "mqtt://" + l.Addr().String()
}

func readPacket(r *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return first, body, err
}
