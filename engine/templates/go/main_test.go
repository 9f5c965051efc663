package main

import (
	"errors"
	"strings"
	"testing"

	"wasmill"
	"wasmill/wasmilltest"
)

func configured(t *testing.T) *wasmilltest.Engine {
	return wasmilltest.New(t).Config(map[string]any{"limit": 100, "output": "alerts.large"})
}

func TestAnAmountOverTheLimitRaisesAnAlert(t *testing.T) {
	engine := configured(t)
	outputs, err := handle(wasmilltest.JSON(map[string]any{"id": "p1", "amount": 100.5}))
	if err != nil || len(outputs) != 1 {
		t.Fatalf("%d outputs, error %v", len(outputs), err)
	}
	if alert := outputs[0]; alert.Subject != "alerts.large" || string(alert.Data) != `{"payment":"p1","over_by":0.5}` {
		t.Errorf("%s to %s", alert.Data, alert.Subject)
	}
	if lines := engine.Lines(); lines[0].Message != "over the limit" {
		t.Errorf("logged %v", lines)
	}
}

func TestTheLimitItselfRaisesNone(t *testing.T) {
	configured(t)
	outputs, err := handle(wasmilltest.JSON(map[string]any{"id": "p1", "amount": 100}))
	if err != nil || len(outputs) != 0 {
		t.Errorf("%d outputs, error %v", len(outputs), err)
	}
}

func TestAPaymentWithoutAnAmountIsSetAside(t *testing.T) {
	configured(t)
	_, err := handle(wasmilltest.JSON(map[string]any{"id": "p1"}))
	var reject *wasmill.RejectError
	if !errors.As(err, &reject) || !strings.Contains(reject.Reason, "missing field `amount`") {
		t.Error(err)
	}
}
