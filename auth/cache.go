package auth

import (
	"crypto/sha256"
	"sync"
)

// cacheShards spreads the lock; a storm of reconnects comes from all workers.
const cacheShards = 16

type tokenSum = [sha256.Size]byte

// cache remembers verified tokens by their SHA-256. Only tokens whose signature
// matched come in, so strangers can neither fill it nor choose its keys.
type cache struct {
	// Immutable after construction.
	perShard int
	shards   [cacheShards]cacheShard
}

type cacheShard struct {
	mu sync.Mutex

	// Guarded by mu.
	identities map[tokenSum]*Identity
}

func newCache(size int) *cache {
	c := &cache{perShard: (size + cacheShards - 1) / cacheShards}
	for i := range c.shards {
		c.shards[i].identities = make(map[tokenSum]*Identity)
	}
	return c
}

func (c *cache) shard(sum *tokenSum) *cacheShard { return &c.shards[sum[0]%cacheShards] }

func (c *cache) lookup(sum *tokenSum) *Identity {
	s := c.shard(sum)
	s.mu.Lock()
	id := s.identities[*sum]
	s.mu.Unlock()
	return id
}

// store makes room by evicting at random: with more devices than room, a storm
// in the same order as the last one would find nothing at all in an LRU.
func (c *cache) store(sum *tokenSum, id *Identity) {
	s := c.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.identities) >= c.perShard {
		for victim := range s.identities {
			delete(s.identities, victim)
			break
		}
	}
	s.identities[*sum] = id
}

func (c *cache) remove(sum *tokenSum) {
	s := c.shard(sum)
	s.mu.Lock()
	delete(s.identities, *sum)
	s.mu.Unlock()
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.identities)
		s.mu.Unlock()
	}
	return n
}
