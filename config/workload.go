package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// WorkloadService is one port of an entry of the section "services".
type WorkloadService struct {
	// Name is namespace/hostname.
	Name string
	// Port is the service's.
	Port uint16
	// Endpoints are IP addresses of workloads that are healthy, in file order,
	// with the ports that stand for Port there. None: 503.
	Endpoints []Target
}

// workloadService is an entry of the section "services" with its endpoints.
type workloadService struct {
	path      string
	file      *fileWorkloadService
	ports     map[uint16]uint16 // the service's to the workloads'; 0 for none
	protocols map[uint16]string // versions of HTTP
	endpoints []workloadEndpoint
	used      bool
}

type workloadEndpoint struct {
	ip    string
	ports map[uint16]uint16
}

// appProtocols are agentgateway's words, with the version of HTTP that each
// stands for.
var appProtocols = map[string]string{"Http11": "1.1", "Http2": "2", "Grpc": "2"}

func parseServiceName(s string) (namespace, hostname string, ok bool) {
	namespace, hostname, ok = strings.Cut(s, "/")
	return namespace, hostname, ok && namespace != "" && hostname != ""
}

// workloadServices reads v1.4's sections "services" and "workloads".
func (r *resolver) workloadServices(services []fileWorkloadService, workloads []fileWorkload) {
	r.meshServices = map[string]*workloadService{}
	for i := range services {
		f := &services[i]
		s := &workloadService{path: fmt.Sprintf("services[%d]", i), file: f, protocols: map[uint16]string{}}
		s.ports = r.portMap(s.path+".ports", f.Ports)
		for port, word := range f.AppProtocols {
			s.protocols[r.portNumber(join(s.path+".appProtocols", port), port)] = appProtocols[word]
		}
		name := f.Namespace + "/" + f.Hostname
		if first := r.meshServices[name]; first != nil {
			r.errorf(s.path+".hostname", Conflict, "a second service of this name; the first is %s", r.cfg.Where(first.path))
			continue
		}
		r.meshServices[name] = s
	}
	uids := map[string]string{}
	for i := range workloads {
		path := fmt.Sprintf("workloads[%d]", i)
		if first, twice := uids[workloads[i].UID]; twice {
			r.errorf(path, Conflict, "a second workload with this uid, or without one; the first is %s", r.cfg.Where(first))
			continue
		}
		uids[workloads[i].UID] = path
		r.workload(path, &workloads[i])
	}
}

// workload adds an endpoint to its services.
func (r *resolver) workload(path string, f *fileWorkload) {
	ip := ""
	for i, s := range f.WorkloadIPs {
		addr := net.ParseIP(s)
		if addr == nil {
			r.errorf(fmt.Sprintf("%s.workloadIps[%d]", path, i), Invalid, "expected an IP address")
		} else if ip == "" {
			ip = addr.String()
		}
	}
	for _, name := range words(f.Services) {
		at := join(path+".services", name)
		ports := r.portMap(at, f.Services[name])
		s := r.meshServices[name]
		if s == nil {
			r.errorf(at, Reference, "no service has this name; %s", suggestName(name, words(r.meshServices), "services"))
			continue
		}
		if strings.Contains(s.file.Hostname, ".inference.") && len(ports) > 1 {
			r.errorf(at, Unsupported, "several ports of a workload as endpoints of their own, as agentgateway has it for .inference. hosts, are not supported")
		}
		if f.Status != "Unhealthy" && ip != "" {
			s.endpoints = append(s.endpoints, workloadEndpoint{ip, ports})
		}
	}
}

// portMap reads ports that are keys.
func (r *resolver) portMap(path string, f map[string]uint16) map[uint16]uint16 {
	ports := map[uint16]uint16{}
	for key, target := range f {
		ports[r.portNumber(join(path, key), key)] = target
	}
	return ports
}

func (r *resolver) portNumber(path, key string) uint16 {
	n, err := strconv.ParseUint(key, 10, 16)
	if err != nil || n == 0 {
		r.errorf(path, Invalid, "expected a port from 1 to 65535 before the colon")
	}
	return uint16(n)
}

// workloadBackend makes a backend one of a service.
func (r *resolver) workloadBackend(path string, f *fileServiceRef, b *Backend) {
	name := f.Name.Namespace + "/" + f.Name.Hostname
	s := r.meshServices[name]
	if s == nil {
		if !r.mistaken[path] && !r.mistaken[path+".name"] {
			r.errorf(path+".name", Reference, "no service has this name; %s", suggestName(name, words(r.meshServices), "services"))
		}
		return
	}
	s.used = true
	if _, ok := s.ports[f.Port]; !ok && f.Port != 0 {
		r.errorf(path+".port", Reference, "the service %s has no such port", r.cfg.Where(s.path))
	}
	b.Service = &WorkloadService{Name: name, Port: f.Port}
	b.HTTP.Version = s.protocols[f.Port]
	for _, e := range s.endpoints {
		port := e.ports[f.Port]
		if port == 0 {
			port = s.ports[f.Port]
		}
		if port != 0 {
			b.Service.Endpoints = append(b.Service.Endpoints, Target{Host: e.ip, Port: port})
		}
	}
}

// unusedServices warns of services that no backend refers to.
func (r *resolver) unusedServices() {
	for _, name := range words(r.meshServices) {
		if s := r.meshServices[name]; !s.used {
			r.warnf(s.path, Unreachable, "no backend refers to this service")
		}
	}
}
