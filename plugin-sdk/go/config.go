package wasmill

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"wasmill/internal/host"
)

// Config returns one value of the [config] table of the manifest, and whether it is set: a string as it is, anything else as
// JSON text.
func Config(key string) (string, bool) {
	return host.ConfigGet(key)
}

// ConfigJSON returns the whole [config] table of the manifest as one JSON object.
func ConfigJSON() string {
	return host.ConfigJSON()
}

// LoadConfig decodes the [config] table of the manifest into the struct that settings points at.
//
// Table and struct must agree: a key without a field is an operator's typing error, and a field without a key is one too,
// unless its tag says omitempty. The error is then a [RetryError] that names the setting, for the event is sound and can be
// handled once the manifest is corrected.
func LoadConfig(settings any) error {
	table := host.ConfigJSON()
	err := decode("config", []byte(table), settings)
	if err == nil {
		err = agree([]byte(table), reflect.TypeOf(settings).Elem())
	}
	if fault, ok := err.(errFault); ok {
		return Retry(string(fault) + "; correct the [config] table of the plugin's manifest")
	}
	return err
}

// agree says which key has no field, or which field has no key.
func agree(table []byte, settings reflect.Type) error {
	if settings.Kind() != reflect.Struct {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(table, &keys); err != nil {
		return err
	}
	for field := range settings.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		key, set := keyOf(keys, name)
		if !set && !slices.Contains(strings.Split(options, ","), "omitempty") {
			return errFault(fmt.Sprintf("config: `%s` is not set", name))
		}
		delete(keys, key)
	}
	for key := range keys {
		return errFault(fmt.Sprintf("config: `%s` is no setting of this plugin", key))
	}
	return nil
}

// keyOf finds a key as encoding/json does: the same letters, if need be in another case.
func keyOf(keys map[string]json.RawMessage, name string) (string, bool) {
	if _, set := keys[name]; set {
		return name, true
	}
	for key := range keys {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}
