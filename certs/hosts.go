package certs

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

func numeric() *regexp.Regexp { return regexp.MustCompile(`^[0-9]+$`) }

// normalize checks the hosts, lowers and sorts them, DNS names first, each once. The check is not a nicety: cfssl puts
// what looks like an e-mail address or a URI into other fields, and nil leaves the names to the request.
func normalize(hosts []string) ([]string, error) {
	var names, addresses []string
	for _, host := range hosts {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
			addresses = append(addresses, ip.Unmap().String())
			continue
		}
		name := strings.ToLower(strings.TrimSuffix(host, "."))
		if !dnsName(name) {
			return nil, &problem{
				fmt.Sprintf("certificate host %q is neither a DNS name nor an IP address", host), nil,
				"write the name or address alone, without scheme, port or brackets",
			}
		}
		names = append(names, name)
	}
	if len(names)+len(addresses) == 0 {
		return nil, &problem{"certificate: no hosts", nil, "name at least one DNS name or IP address"}
	}
	slices.Sort(names)
	slices.Sort(addresses)
	return append(slices.Compact(names), slices.Compact(addresses)...), nil
}

// ValidHost reports whether a certificate can be for this DNS name or address.
func ValidHost(host string) bool {
	_, err := normalize([]string{host})
	return err == nil
}

func dnsName(name string) bool {
	labels := strings.Split(name, ".")
	if labels[0] == "*" && len(labels) > 1 {
		labels = labels[1:]
	}
	for _, part := range labels {
		if !label().MatchString(part) {
			return false
		}
	}
	// 10.0.0.256 is a mistyped address, not a name.
	return len(name) <= 253 && !numeric().MatchString(labels[len(labels)-1])
}

func label() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`) }
