/* rawc: the least that can be called a WebSocket echo server, as the physical
 * limit: epoll, one read and one write per event, frames turned round in place.
 *
 *   rawc -addr 127.0.0.1:PORT -threads N
 *
 * It does the handshake, unmasking, partial frames, partial writes, ping and
 * close. It does not check what a server must check. A text message goes to
 * every connection (the broadcast of the comparison), a binary one comes back.
 * Each thread has its own listener (SO_REUSEPORT) and its own epoll.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAXFD = 1 << 21, BUF = 1 << 18, EVENTS = 512 };
enum { FREE, HANDSHAKE, OPEN };

struct held { uint32_t n; uint8_t b[]; };    /* bytes kept between two events */

/* Pages of these tables are touched only where there is something to keep. */
static uint8_t state[MAXFD];
static struct held *in[MAXFD], *out[MAXFD];
static int highest;
static struct sockaddr_in where;

static void sha1(const uint8_t *msg, size_t n, uint8_t digest[20]) {
	uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
	uint8_t m[128] = {0};                    /* 60 bytes of key and GUID: two blocks */
	memcpy(m, msg, n);
	m[n] = 0x80;
	m[126] = (uint8_t)(n * 8 >> 8);
	m[127] = (uint8_t)(n * 8);
	for (int block = 0; block < 2; block++) {
		for (int i = 0; i < 16; i++) {
			uint32_t x;
			memcpy(&x, m + 64 * block + 4 * i, 4);
			w[i] = ntohl(x);
		}
		for (int i = 16; i < 80; i++) {
			uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
			w[i] = x << 1 | x >> 31;
		}
		uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
		for (int i = 0; i < 80; i++) {
			uint32_t f, k;
			if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
			else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
			else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
			else f = b ^ c ^ d, k = 0xCA62C1D6;
			uint32_t t = (a << 5 | a >> 27) + f + e + k + w[i];
			e = d, d = c, c = b << 30 | b >> 2, b = a, a = t;
		}
		h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
	}
	for (int i = 0; i < 5; i++) {
		uint32_t x = htonl(h[i]);
		memcpy(digest + 4 * i, &x, 4);
	}
}

static void base64(const uint8_t d[20], char dst[29]) {
	static const char t[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (int i = 0, o = 0; i < 20; i += 3) {
		uint32_t v = d[i] << 16 | d[i + 1] << 8 | (i + 2 < 20 ? d[i + 2] : 0);
		dst[o++] = t[v >> 18], dst[o++] = t[v >> 12 & 63], dst[o++] = t[v >> 6 & 63], dst[o++] = t[v & 63];
	}
	dst[27] = '=', dst[28] = 0;
}

static void end(int fd) {
	free(in[fd]), in[fd] = NULL;
	free(out[fd]), out[fd] = NULL;
	state[fd] = FREE;
	close(fd);
}

static struct held *keep(struct held *old, const uint8_t *b, uint32_t n) {
	uint32_t at = old ? old->n : 0;
	struct held *k = realloc(old, sizeof *k + at + n);
	if (!k) abort();
	memcpy(k->b + at, b, n);
	k->n = at + n;
	return k;
}

static void send_all(int fd, const uint8_t *b, uint32_t n) {
	ssize_t m = 0;
	if (!out[fd]) {
		m = write(fd, b, n);
		if (m < 0 && errno != EAGAIN) return; /* the next read says so too */
		if (m < 0) m = 0;
	}
	if (m < n) out[fd] = keep(out[fd], b + m, n - m); /* EPOLLOUT is always armed (ET) */
}

static uint32_t answer(uint8_t *b, uint32_t n, char *reply, int *size) {
	uint8_t *stop = memmem(b, n, "\r\n\r\n", 4), *key = memmem(b, n, "Sec-WebSocket-Key: ", 19);
	if (!stop) return 0;
	uint8_t text[60], digest[20];
	char accept[29];
	if (!key) return n;
	memcpy(text, key + 19, 24);
	memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
	sha1(text, 60, digest);
	base64(digest, accept);
	*size = sprintf(reply, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	return stop + 4 - b;
}

/* turn rewrites the frames in b[0..n) as their answers, in place, and returns
 * how many bytes it used; *made is the size of the answers at b. */
static uint32_t turn(uint8_t *b, uint32_t n, uint32_t *made, int *closed) {
	uint32_t used = 0, o = 0;
	while (n - used >= 6 && !*closed) {
		uint8_t *f = b + used;
		uint64_t len = f[1] & 127;
		uint32_t head = 6;
		if (len == 126) {
			if (n - used < 8) break;
			len = f[2] << 8 | f[3], head = 8;
		} else if (len == 127) {
			if (n - used < 14) break;
			len = (uint64_t)f[6] << 24 | f[7] << 16 | f[8] << 8 | f[9], head = 14;
		}
		if (n - used - head < len) break;
		uint8_t mask[8], op = f[0] & 15, first = f[0];
		memcpy(mask, f + head - 4, 4), memcpy(mask + 4, mask, 4);
		uint8_t *payload = f + head, *start = b + o;
		uint64_t i = 0, m, x;
		memcpy(&m, mask, 8);
		for (; i + 8 <= len; i += 8) {
			memcpy(&x, payload + i, 8);
			x ^= m;
			memcpy(payload + i, &x, 8);
		}
		for (; i < len; i++) payload[i] ^= mask[i & 7];
		used += head + len;
		*closed = op == 8;
		*start++ = op == 9 ? 0x8A : first;
		uint32_t h = head - 6;               /* length bytes beyond the first */
		*start++ = f[1] & 127;
		memmove(start, f + 2, h), start += h;
		memmove(start, payload, len);
		uint32_t size = 2 + h + len;
		if (op == 1) {                       /* text: to everybody */
			for (int fd = 0, top = highest; fd <= top; fd++)
				if (state[fd] == OPEN) send_all(fd, b + o, size);
		} else if (op != 10) {
			o += size;
		}
	}
	*made = o;
	return used;
}

static void take(int fd, uint8_t *b, uint32_t n) {
	if (in[fd]) {                            /* rare: a frame came in pieces */
		struct held *k = keep(in[fd], b, n);
		in[fd] = NULL;
		if (k->n > BUF) { free(k); end(fd); return; }
		memcpy(b, k->b, n = k->n);
		free(k);
	}
	if (state[fd] == HANDSHAKE) {
		char reply[256];
		int size = 0;
		uint32_t used = answer(b, n, reply, &size);
		if (used && !size) { end(fd); return; }
		if (used) {
			state[fd] = OPEN;
			send_all(fd, (uint8_t *)reply, size);
			memmove(b, b + used, n -= used);
		}
	}
	if (state[fd] == OPEN && n) {
		uint32_t made = 0;
		int closed = 0;
		uint32_t used = turn(b, n, &made, &closed);
		if (made) send_all(fd, b, made);
		if (closed) { end(fd); return; }
		b += used, n -= used;
	}
	if (n) in[fd] = keep(NULL, b, n);
}

static void readable(int fd, uint8_t *b) {
	for (;;) {
		ssize_t n = read(fd, b, BUF);
		if (n > 0) take(fd, b, n);
		else if (n == 0 || errno != EAGAIN) { end(fd); return; }
		if (n < BUF || state[fd] == FREE) return;
	}
}

static void writable(int fd) {
	struct held *k = out[fd];
	out[fd] = NULL;
	send_all(fd, k->b, k->n);
	free(k);
}

static void *serve(void *arg) {
	(void)arg;
	int one = 1, ep = epoll_create1(0), ln = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(ln, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(ln, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (bind(ln, (void *)&where, sizeof where) || listen(ln, 65535)) { perror("listen"); exit(1); }
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = ln}, evs[EVENTS];
	epoll_ctl(ep, EPOLL_CTL_ADD, ln, &ev);
	uint8_t *b = malloc(BUF + 1);
	for (;;) {
		int n = epoll_wait(ep, evs, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			if (fd != ln) {
				if (evs[i].events & EPOLLOUT && out[fd]) writable(fd);
				if (evs[i].events & ~EPOLLOUT) readable(fd, b);
				continue;
			}
			while ((fd = accept4(ln, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				if (fd >= MAXFD) { close(fd); continue; }
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				state[fd] = HANDSHAKE;
				if (fd > highest) highest = fd;
				ev.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, ev.data.fd = fd;
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
			}
		}
	}
}

int main(int argc, char **argv) {
	int threads = 1;
	char host[64] = "127.0.0.1";
	unsigned port = 0;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-addr")) sscanf(argv[i + 1], "%63[^:]:%u", host, &port);
		if (!strcmp(argv[i], "-threads")) threads = atoi(argv[i + 1]);
	}
	where.sin_family = AF_INET, where.sin_port = htons(port);
	inet_pton(AF_INET, host, &where.sin_addr);
	struct rlimit lim;
	getrlimit(RLIMIT_NOFILE, &lim), lim.rlim_cur = lim.rlim_max, setrlimit(RLIMIT_NOFILE, &lim);
	for (int i = 1; i < threads; i++) {
		pthread_t t;
		pthread_create(&t, NULL, serve, NULL);
	}
	serve(NULL);
}
