package certs

import (
	"crypto/x509"
	"net"
	"slices"
	"strings"
)

// permit sets the critical extension by which an authority can issue for these hosts and no others.
func permit(authority *x509.Certificate, hosts []string) {
	for _, name := range subtrees(hosts) {
		address := net.ParseIP(name)
		if address == nil {
			authority.PermittedDNSDomains = append(authority.PermittedDNSDomains, name)
			continue
		}
		if short := address.To4(); short != nil {
			address = short
		}
		bits := 8 * len(address)
		authority.PermittedIPRanges = append(authority.PermittedIPRanges, &net.IPNet{IP: address, Mask: net.CIDRMask(bits, bits)})
	}
	authority.PermittedDNSDomainsCritical = len(hosts) > 0
}

// subtrees leaves out the star of a wildcard: a constraint covers the names below it anyway.
func subtrees(hosts []string) []string {
	var names []string
	for _, host := range hosts {
		if name := strings.TrimPrefix(host, "*."); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// permittedBy lists what an authority may issue for, nil when it is not constrained.
func permittedBy(ca *x509.Certificate) []string {
	names := slices.Clone(ca.PermittedDNSDomains)
	for _, ipnet := range ca.PermittedIPRanges {
		ones, bits := ipnet.Mask.Size()
		if ones == bits {
			names = append(names, ipnet.IP.String())
			continue
		}
		names = append(names, ipnet.String())
	}
	return names
}

// firstRefused returns the first host that the authority may not issue for, "" when there is none.
func firstRefused(ca *x509.Certificate, hosts []string) string {
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			inside := func(ipnet *net.IPNet) bool { return ipnet.Contains(address) }
			if len(ca.PermittedIPRanges) > 0 && !slices.ContainsFunc(ca.PermittedIPRanges, inside) || slices.ContainsFunc(ca.ExcludedIPRanges, inside) {
				return host
			}
			continue
		}
		name := strings.TrimPrefix(host, "*.")
		inside := func(domain string) bool {
			domain = strings.ToLower(strings.TrimPrefix(domain, "."))
			return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
		}
		if len(ca.PermittedDNSDomains) > 0 && !slices.ContainsFunc(ca.PermittedDNSDomains, inside) || slices.ContainsFunc(ca.ExcludedDNSDomains, inside) {
			return host
		}
	}
	return ""
}
