package main

import (
	"context"
	"strconv"

	"edgeloop/admin/api"
	"edgeloop/admin/grpcapi"
	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
)

// Readers implements admin.Log.
func (a adminLog) Readers(ctx context.Context, tenant string) (all []api.Reader, err error) {
	err = a.backbone.ReaderPlaces(ctx, func(place string, at backbone.Place) {
		r, is := readerAt(place, at.Note)
		if !is || tenant != "" && r.Tenant != tenant {
			return
		}
		r.Place, r.Missed = at.Log+"-"+strconv.FormatUint(at.Position, 10), at.Missed
		r.LagRecords = lagBehind(a.backbone, at.Log, at.Position)
		all = append(all, r)
	})
	return all, adminError(err)
}

// readerAt says whose a place is; false: that of a sink, which has a list of its own.
func readerAt(place, note string) (r api.Reader, is bool) {
	if r.Tenant, r.Reader, is = grpcapi.ReaderOf(place); is {
		r.Kind = api.ReaderGRPC
		return r, true
	}
	kept, is := mqttapi.KeptAt(place, note)
	r.Tenant, r.Kind, r.Reader = kept.Tenant, api.ReaderSession, kept.Name
	if kept.Group {
		r.Kind = api.ReaderGroup
	}
	if !kept.Left.IsZero() {
		r.Left = &kept.Left
	}
	return r, is
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
