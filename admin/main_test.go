package admin_test

import (
	"testing"

	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }
