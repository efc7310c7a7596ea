package main

import (
	"context"
	"strconv"

	"edgeloop/admin/api"
	"edgeloop/admin/grpcapi"
	"edgeloop/backbone"
)

// Readers implements admin.Log.
func (a adminLog) Readers(ctx context.Context, tenant string) (all []api.Reader, err error) {
	err = a.backbone.ReaderPlaces(ctx, func(place string, at backbone.Place) {
		of, name, is := grpcapi.ReaderOf(place)
		if !is || tenant != "" && of != tenant {
			return
		}
		all = append(all, api.Reader{
			Tenant: of, Reader: name, Place: at.Log + "-" + strconv.FormatUint(at.Position, 10), Missed: at.Missed,
			LagRecords: lagBehind(a.backbone, at.Log, at.Position),
		})
	})
	return all, adminError(err)
}

// ForgetReader implements admin.Log.
func (a adminLog) ForgetReader(ctx context.Context, tenant, name string) (bool, error) {
	known := false
	place := grpcapi.PlaceOf(tenant, name)
	err := a.backbone.ReaderPlaces(ctx, func(one string, _ backbone.Place) { known = known || one == place })
	if err == nil && known {
		err = a.backbone.ForgetReader(ctx, place)
	}
	return known, adminError(err)
}

// lagBehind is how many records lie behind a position; nil: it is not known.
func lagBehind(b *backbone.Backbone, log string, position uint64) *uint64 {
	end, known := b.Durable()
	if !known || log != b.Identity() {
		return nil
	}
	lag := end - min(end, position)
	return &lag
}
