package daemon

import (
	"bytes"
	"context"
	"io/fs"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
)

// memoryStorage is a [certmagic.Storage] in memory: work that ends late leaves no files behind. Its zero
// value is empty.
type memoryStorage struct {
	files sync.Map // keys to []byte
	locks sync.Map // names to *sync.Mutex
}

func (s *memoryStorage) Lock(_ context.Context, name string) error {
	l, _ := s.locks.LoadOrStore(name, new(sync.Mutex))
	l.(*sync.Mutex).Lock()
	return nil
}

func (s *memoryStorage) Unlock(_ context.Context, name string) error {
	l, _ := s.locks.Load(name)
	l.(*sync.Mutex).Unlock()
	return nil
}

func (s *memoryStorage) Store(_ context.Context, key string, value []byte) error {
	s.files.Store(key, bytes.Clone(value))
	return nil
}

func (s *memoryStorage) Load(_ context.Context, key string) ([]byte, error) {
	if v, ok := s.files.Load(key); ok {
		return v.([]byte), nil
	}
	return nil, fs.ErrNotExist
}

func (s *memoryStorage) Delete(_ context.Context, key string) error {
	s.files.Delete(key)
	return nil
}

func (s *memoryStorage) Exists(ctx context.Context, key string) bool {
	_, err := s.Load(ctx, key)
	return err == nil
}

func (s *memoryStorage) List(_ context.Context, path string, _ bool) (keys []string, _ error) {
	s.files.Range(func(key, _ any) bool {
		if strings.HasPrefix(key.(string), path+"/") {
			keys = append(keys, key.(string))
		}
		return true
	})
	return keys, nil
}

func (s *memoryStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	b, err := s.Load(ctx, key)
	return certmagic.KeyInfo{Key: key, Size: int64(len(b)), IsTerminal: true}, err
}
