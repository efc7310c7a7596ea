package grpcapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// room refuses a reader with a new name where as many have a place as may. Sinks, whose
// names are of the configuration, do not count. The caller has the turn; several nodes that
// share a log may go beyond by one each.
func (l *logService) room(ctx context.Context, tenant, place string) error {
	names, err := l.s.node.Readers.Names(ctx)
	if err != nil || slices.Contains(names, place) {
		return err
	}
	all, ofTenant := 0, 0
	for _, name := range names {
		if strings.HasPrefix(name, servicePrefix) {
			all++
		}
		if strings.HasPrefix(name, placeName(tenant, "")) {
			ofTenant++
		}
	}
	whose, bound := "of all tenants", l.s.cfg.MaxReaders
	switch {
	case ofTenant >= l.s.cfg.MaxTenantReaders:
		whose, bound = "of this tenant", l.s.cfg.MaxTenantReaders
	case all < bound:
		return nil
	}
	l.s.counts.refused[refusedReaders].Add(1)
	return refusal(codes.ResourceExhausted, refusedReaders.String(), fmt.Sprintf("%d readers %s have a place, which is the limit: read under one of their names", bound, whose))
}
