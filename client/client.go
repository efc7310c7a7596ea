package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	v1 "edgeloop/api/edgeloop/v1"
)

// Config says which node, and who asks.
type Config struct {
	// Address is host:port of --grpc-listen.
	Address string
	// Token is an admin token with the scopes that the calls need.
	Token string
	// TLS of the node; nil: none, and the token crosses the network in the clear.
	TLS *tls.Config
}

// Client is a connection to a node, made when it is needed and made anew when it breaks.
// Its methods may be called from any goroutine.
type Client struct {
	conn *grpc.ClientConn
}

// maxReceive is above the largest record that a node stores.
const maxReceive = 16 << 20

// New makes a client; nothing is connected to yet. The caller calls Close.
func New(c Config) (*Client, error) {
	if c.Address == "" || c.Token == "" {
		return nil, errors.New("client: give the address of a node, host:port, and an admin token")
	}
	creds := insecure.NewCredentials()
	if c.TLS != nil {
		creds = credentials.NewTLS(c.TLS)
	}
	conn, err := grpc.NewClient(
		c.Address,
		grpc.WithTransportCredentials(creds),
		grpc.WithPerRPCCredentials(bearer{c.Token, c.TLS != nil}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		// A node that is gone without a word is noticed; the node allows this much.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &Client{conn}, nil
}

// Close ends what runs, and the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Log is the service of that name; Read is mostly what is wanted instead.
func (c *Client) Log() v1.LogClient { return v1.NewLogClient(c.conn) }

// Commands is the service of that name.
func (c *Client) Commands() v1.CommandsClient { return v1.NewCommandsClient(c.conn) }

// Presence is the service of that name.
func (c *Client) Presence() v1.PresenceClient { return v1.NewPresenceClient(c.conn) }

// bearer sends the token with each call.
type bearer struct {
	token  string
	secure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.secure }
