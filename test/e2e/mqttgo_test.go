package e2e_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// goClient is a client of one of Paho's two libraries for Go.
type goClient interface {
	subscribe(topic string, qos byte) (code byte)
	publish(topic string, payload []byte, qos byte, retain bool) (code int, err error)
	disconnect()
}

// driveGo has clients of Paho's libraries for Go carry out orders: that for 3.1.1, or that for 5.
func driveGo(t *testing.T, n *matrixNode, c matrixCase) *matrixDriver {
	t.Helper()
	dial := dialGo4
	if c.version == 5 {
		dial = dialGo5
	}
	events := make(chan matrixEvent, 256)
	trust := &tls.Config{RootCAs: n.ca.Pool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	clients := map[string]goClient{}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		for _, c := range clients {
			c.disconnect()
		}
		wg.Wait()
	})
	return &matrixDriver{events: events, do: func(o matrixOrder) {
		emit := func(e matrixEvent) {
			e.As = o.As
			events <- e
		}
		switch c := clients[o.As]; o.Do {
		case "connect":
			clients[o.As] = dial(t, o, trust, emit)
		case "subscribe":
			wg.Go(func() {
				emit(matrixEvent{Event: "subscribed", Code: int(c.subscribe(o.Topic, byte(o.QoS)))})
			})
		case "publish":
			payload := []byte(o.Payload)
			if o.Size > 0 {
				payload = []byte(strings.Repeat("0", o.Size))
			}
			wg.Go(func() {
				e := matrixEvent{Event: "published"}
				code, err := c.publish(o.Topic, payload, byte(o.QoS), o.Retain)
				if err != nil {
					e = matrixEvent{Event: "failed", Code: code}
				}
				emit(e)
			})
		case "disconnect":
			c.disconnect()
		}
	}}
}

// goClient4 is one of paho.mqtt.golang, which speaks 3.1.1.
type goClient4 struct{ mqtt.Client }

func dialGo4(_ *testing.T, o matrixOrder, trust *tls.Config, emit func(matrixEvent)) goClient {
	opts := mqtt.NewClientOptions().AddBroker(o.URL).SetClientID(o.ID).SetUsername(cmp.Or(o.User, "any")).SetPassword(o.Password).
		SetProtocolVersion(4).SetCleanSession(!o.Kept).SetKeepAlive(time.Duration(o.KeepAlive) * time.Second).
		SetAutoReconnect(false).SetConnectTimeout(patience).SetTLSConfig(trust).
		SetConnectionLostHandler(func(mqtt.Client, error) { emit(matrixEvent{Event: "closed"}) }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			emit(matrixEvent{Event: "message", Topic: m.Topic(), Payload: string(m.Payload()), QoS: int(m.Qos()), Retain: m.Retained()})
		})
	if o.Topic != "" {
		opts.SetWill(o.Topic, o.Payload, 1, false)
	}
	c := goClient4{mqtt.NewClient(opts)}
	token := c.Connect().(*mqtt.ConnectToken)
	if token.Wait(); token.Error() != nil {
		emit(matrixEvent{Event: "refused", Code: int(token.ReturnCode())})
	} else {
		emit(matrixEvent{Event: "connected", Present: token.SessionPresent()})
	}
	return c
}

func (c goClient4) subscribe(topic string, qos byte) byte {
	token := c.Subscribe(topic, qos, nil).(*mqtt.SubscribeToken)
	token.Wait()
	for _, code := range token.Result() { // the one; by the topic without $share/
		return code
	}
	return 0x80
}

func (c goClient4) publish(topic string, payload []byte, qos byte, retain bool) (int, error) {
	token := c.Publish(topic, qos, retain, payload)
	if !token.WaitTimeout(patience) {
		return 0, errors.New("no answer")
	}
	return 0, token.Error()
}

func (c goClient4) disconnect() { c.Disconnect(100) }

// goClient5 is one of paho.golang, which speaks 5.0.
type goClient5 struct {
	*autopaho.ConnectionManager
	ctx  context.Context // until stop
	stop context.CancelFunc
}

func dialGo5(t *testing.T, o matrixOrder, trust *tls.Config, emit func(matrixEvent)) goClient {
	t.Helper()
	at, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := autopaho.ClientConfig{
		ServerUrls: []*url.URL{at}, TlsCfg: trust, KeepAlive: uint16(o.KeepAlive), ConnectTimeout: patience,
		CleanStartOnInitialConnection: !o.Kept, ConnectUsername: cmp.Or(o.User, "any"), ConnectPassword: []byte(o.Password),
		ReconnectBackoff: func(attempt int) time.Duration { return time.Duration(attempt) * time.Hour }, // the first at once, no other
		OnConnectionUp: func(_ *autopaho.ConnectionManager, ack *paho.Connack) {
			emit(matrixEvent{Event: "connected", Present: ack.SessionPresent})
		},
		OnConnectionDown: func() bool { return false },
		OnConnectError: func(err error) {
			e := matrixEvent{Event: "refused"}
			if no := (*autopaho.ConnackError)(nil); errors.As(err, &no) {
				e.Code = int(no.ReasonCode)
			}
			emit(e)
		},
		ClientConfig: paho.ClientConfig{
			ClientID:           o.ID,
			PacketTimeout:      patience,
			OnServerDisconnect: func(d *paho.Disconnect) { emit(matrixEvent{Event: "closed", Code: int(d.ReasonCode)}) },
			OnClientError:      func(error) { emit(matrixEvent{Event: "closed"}) }, // one of both
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
				m := p.Packet
				emit(matrixEvent{Event: "message", Topic: m.Topic, Payload: string(m.Payload), QoS: int(m.QoS), Retain: m.Retain})
				return true, nil
			}},
		},
	}
	if o.Kept {
		cfg.SessionExpiryInterval = 600
	}
	if o.Topic != "" {
		cfg.WillMessage = &paho.WillMessage{Topic: o.Topic, Payload: []byte(o.Payload), QoS: 1}
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	cm, err := autopaho.NewConnection(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return goClient5{cm, ctx, stop}
}

func (c goClient5) subscribe(topic string, qos byte) byte {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	ack, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: qos}}})
	if err != nil || len(ack.Reasons) != 1 {
		return 0x80
	}
	return ack.Reasons[0]
}

func (c goClient5) publish(topic string, payload []byte, qos byte, retain bool) (code int, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	ack, err := c.Publish(ctx, &paho.Publish{Topic: topic, Payload: payload, QoS: qos, Retain: retain})
	if ack != nil {
		code = int(ack.ReasonCode)
	}
	return code, err
}

func (c goClient5) disconnect() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Disconnect(ctx)
	c.stop()
}
