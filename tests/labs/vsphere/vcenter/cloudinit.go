// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"gopkg.in/yaml.v3"
)

// cloudInit is what cloud-init's VMware datasource makes of guestinfo
// (cloud-init documentation, "VMware": metadata, userdata, their encodings,
// the network config inline or encoded).
type cloudInit struct {
	Hostname   string   `json:"hostname"`
	InstanceID string   `json:"instance_id"`
	Addresses  []string `json:"addresses"` // static ones, with their prefix length, in the order of the config
	UserData   string   `json:"userdata"`
	Error      string   `json:"error"` // what cloud-init would fail with
}

func readCloudInit(extra map[string]string) cloudInit {
	c := cloudInit{Addresses: []string{}}
	fail := func(what string, err error) {
		if err != nil && c.Error == "" {
			c.Error = what + ": " + err.Error()
		}
	}
	user, err := decode(extra["guestinfo.userdata"], extra["guestinfo.userdata.encoding"])
	fail("guestinfo.userdata", err)
	c.UserData = string(user)
	text, err := decode(extra["guestinfo.metadata"], extra["guestinfo.metadata.encoding"])
	fail("guestinfo.metadata", err)
	var meta struct {
		Hostname   string    `yaml:"local-hostname"`
		InstanceID string    `yaml:"instance-id"`
		Network    yaml.Node `yaml:"network"`
		Encoding   string    `yaml:"network.encoding"`
	}
	fail("guestinfo.metadata", yaml.Unmarshal(text, &meta))
	c.Hostname, c.InstanceID = meta.Hostname, meta.InstanceID
	if meta.Network.IsZero() {
		return c
	}
	node := meta.Network
	if node.Kind == yaml.ScalarNode {
		config, err := decode(node.Value, meta.Encoding)
		fail("network", err)
		fail("network", yaml.Unmarshal(config, &node))
	}
	found, err := staticAddresses(&node)
	c.Addresses = append(c.Addresses, found...)
	fail("network", err)
	return c
}

// staticAddresses of a network config of version 2, under "network:" or not.
func staticAddresses(node *yaml.Node) ([]string, error) {
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	type config struct {
		Version   int       `yaml:"version"`
		Ethernets yaml.Node `yaml:"ethernets"`
	}
	var top struct {
		config `yaml:",inline"`
		Inner  *config `yaml:"network"`
	}
	if err := node.Decode(&top); err != nil {
		return nil, err
	}
	if top.Inner != nil {
		top.config = *top.Inner
	}
	if top.Version != 2 {
		return nil, fmt.Errorf("version %d, not 2", top.Version)
	}
	var out []string
	for i := 1; i < len(top.Ethernets.Content); i += 2 { // a mapping's values, in the order of the file
		var card struct {
			Addresses []string `yaml:"addresses"`
		}
		if err := top.Ethernets.Content[i].Decode(&card); err != nil {
			return nil, err
		}
		for _, address := range card.Addresses {
			if _, err := netip.ParsePrefix(address); err != nil {
				return nil, err
			}
			out = append(out, address)
		}
	}
	return out, nil
}

// decode knows cloud-init's encodings: none, base64 or b64, gzip+base64 or gz+b64.
func decode(s, encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return []byte(s), nil
	case "base64", "b64":
		return base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	case "gzip+base64", "gz+b64":
		packed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return nil, fmt.Errorf("unknown encoding %q", encoding)
}
