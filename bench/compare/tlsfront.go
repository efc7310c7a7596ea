package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What stands in front of a node, with the defaults of Debian's packages but for what it is
// about. Its workers are as many as the cores.
var fronts = map[string]string{
	"nginx": `daemon off;
pid DIR/nginx.pid;
error_log DIR/nginx.log;
worker_processes auto;
worker_rlimit_nofile 20000;
events { worker_connections 19900; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	ssl_session_cache shared:tls:10m;
	upstream node { server NODE; }
	server {
		listen FRONT ssl reuseport backlog=4096;
		ssl_certificate CERT;
		ssl_certificate_key KEY;
		ssl_protocols TLSv1.2 TLSv1.3;
		location / {
			proxy_pass http://node;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
			proxy_set_header Host $host;
			proxy_read_timeout 1h;
			proxy_send_timeout 1h;
		}
	}
}
`,
	"haproxy": `global
	maxconn 9800
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
frontend devices
	bind FRONT ssl crt BOTH alpn http/1.1
	default_backend node
backend node
	server node1 NODE
`,
}

// startFront puts a proxy in front of the server, which listens already. Devices connect to
// the proxy from then on.
func (p *process) startFront(c certs) error {
	front, err := freeAddr()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(p.scratch)
	if err != nil {
		return err
	}
	abs := func(name string) string {
		path, _ := filepath.Abs(name) // it was asked for the folder above
		return path
	}
	text := strings.NewReplacer("DIR", dir, "FRONT", front, "NODE", p.addr, "CERT", abs(c.cert), "KEY", abs(c.key), "BOTH", abs(c.both)).Replace(fronts[p.front])
	conf := filepath.Join(dir, p.front+".conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	args := map[string][]string{"nginx": {"nginx", "-p", dir, "-e", dir + "/nginx.log", "-c", conf}, "haproxy": {"haproxy", "-db", "-f", conf}}[p.front]
	p.proxy = exec.Command(args[0], args[1:]...)
	p.proxy.Stdout, p.proxy.Stderr = p.log, p.log
	if err := p.proxy.Start(); err != nil {
		p.proxy = nil
		return err
	}
	p.addr = front
	return nil
}

// stopFront ends the proxy and waits for it.
func (p *process) stopFront() {
	if p.proxy == nil {
		return
	}
	_ = p.proxy.Process.Signal(syscall.SIGTERM)
	t := time.AfterFunc(20*time.Second, func() { _ = p.proxy.Process.Kill() })
	defer t.Stop()
	_ = p.proxy.Wait() // how it ends is its own business
}

// frontPIDs are the processes of the proxy: it, and its workers.
func (p *process) frontPIDs() []string {
	if p.proxy == nil {
		return nil
	}
	pid := p.proxy.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return append([]string{strconv.Itoa(pid)}, strings.Fields(string(children))...)
}
