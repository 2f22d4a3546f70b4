package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/envoy"
)

// askEnvoy has a real Envoy check a configuration, as a static one. The error is a
// *[config.Error] if Envoy refuses it, with the line if Envoy's words lead to one.
func askEnvoy(ctx context.Context, b envoy.Binary, next *built) error {
	text, err := next.resources.Static()
	if err != nil {
		return err
	}
	err = b.Validate(ctx, text)
	var refusal *envoy.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	place, message := next.snapshot.Explain(refusal.Reason)
	e := placed(next.config.File, place)
	e.Kind, e.Msg = config.Refused, "Envoy refuses what this becomes: "+message
	return e
}

// maxAsked bounds the configurations that Envoy is asked about before it gets them,
// in bytes of its resources: it takes longer the more they are, and an edit waits.
const maxAsked = 1 << 20

// askTimeout bounds how long an edit waits for the answer.
const askTimeout = 10 * time.Second

// asking returns what asks an Envoy about an edit before it is published. Only a
// refusal is an error: an Envoy that cannot be asked says the same a moment later.
func asking(ctx context.Context, b envoy.Binary, log *slog.Logger) func(*built) error {
	return func(next *built) error {
		if next.snapshot.Size() > maxAsked {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		err := askEnvoy(ctx, b, next)
		var mistake *config.Error
		if err != nil && !errors.As(err, &mistake) {
			if errors.Is(err, context.Canceled) { // we are about to end
				return nil
			}
			log.Warn("Envoy cannot be asked about an edit before it gets it", "error", err)
			return nil
		}
		return err
	}
}
