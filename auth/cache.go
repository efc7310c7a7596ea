package auth

import (
	"crypto/sha256"
	"sync"
)

// cacheShards spreads the lock; a storm of reconnects comes from all workers.
const cacheShards = 16

// tokenSum is the first half of a token's SHA-256. To pass for a checked token, a
// forged one would have to match these 128 bits.
type tokenSum [sha256.Size / 2]byte

func sumOf(token []byte) tokenSum {
	sum := sha256.Sum256(token)
	return tokenSum(sum[:len(tokenSum{})])
}

// cache remembers which tokens a public key has confirmed. It keeps nothing else of
// them: the claims are read again, which costs a hundredth of the check. Only tokens
// with a matching signature enter, so strangers can neither fill it nor choose its
// keys. HS256 tokens stay out: hashing one to look it up costs as much as checking it.
type cache struct {
	// Immutable after construction.
	perShard int
	shards   [cacheShards]cacheShard
}

type cacheShard struct {
	mu sync.Mutex

	// Guarded by mu.
	checked map[tokenSum]struct{}
}

func newCache(size int) *cache {
	c := &cache{perShard: (size + cacheShards - 1) / cacheShards}
	for i := range c.shards {
		c.shards[i].checked = make(map[tokenSum]struct{})
	}
	return c
}

func (c *cache) shard(sum *tokenSum) *cacheShard { return &c.shards[sum[0]%cacheShards] }

func (c *cache) has(sum *tokenSum) bool {
	s := c.shard(sum)
	s.mu.Lock()
	_, ok := s.checked[*sum]
	s.mu.Unlock()
	return ok
}

// add evicts at random to make room. In an LRU with fewer places than devices, a storm
// in the same order as the last would find nothing.
func (c *cache) add(sum *tokenSum) {
	s := c.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.checked) >= c.perShard {
		for victim := range s.checked {
			delete(s.checked, victim)
			break
		}
	}
	s.checked[*sum] = struct{}{}
}

func (c *cache) remove(sum *tokenSum) {
	s := c.shard(sum)
	s.mu.Lock()
	delete(s.checked, *sum)
	s.mu.Unlock()
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.checked)
		s.mu.Unlock()
	}
	return n
}
