// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// denial takes a privilege away, on an object and all below it.
type denial struct {
	Privilege string `json:"privilege"`
	Object    string `json:"object"` // name or managed object reference; "" is everywhere
	User      string `json:"user"`   // "" is everybody
}

// grants are who may do what: everything, but for the reader and the denials. mu guards denials.
type grants struct {
	mu      sync.Mutex
	reader  string
	denials []denial
}

func (g *grants) init(reader string) { g.reader = reader }

func (g *grants) set(denials []denial) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denials = denials
}

// need is a privilege that a call needs on an object.
type need struct {
	privilege string
	object    ref
}

// needed has the privileges of the calls on the object itself (vSphere API reference, "Required Privileges" of each method).
var needed = map[string]string{
	"PowerOnVM_Task":                     "VirtualMachine.Interact.PowerOn",
	"PowerOffVM_Task":                    "VirtualMachine.Interact.PowerOff",
	"ShutdownGuest":                      "VirtualMachine.Interact.PowerOff",
	"ResetVM_Task":                       "VirtualMachine.Interact.Reset",
	"RebootGuest":                        "VirtualMachine.Interact.Reset",
	"Rename_Task":                        "VirtualMachine.Config.Rename",
	"CreateSnapshot_Task":                "VirtualMachine.State.CreateSnapshot",
	"MarkAsTemplate":                     "VirtualMachine.Provisioning.MarkAsTemplate",
	"MarkAsVirtualMachine":               "VirtualMachine.Provisioning.MarkAsVM",
	"AttachDisk_Task":                    "VirtualMachine.Config.AddExistingDisk",
	"DetachDisk_Task":                    "VirtualMachine.Config.RemoveDisk",
	"CreateFolder":                       "Folder.Create",
	"EnterMaintenanceMode_Task":          "Host.Config.Maintenance",
	"ReconfigureComputeResource_Task":    "Host.Inventory.EditCluster",
	"AddCustomFieldDef":                  "Global.ManageCustomFields",
	"ConfigureDatastoreIORM_Task":        "Datastore.Config",
	"ApplyStorageDrsRecommendation_Task": "Datastore.AllocateSpace",
}

// needs returns what the call needs.
func (l *lab) needs(m *simulator.Method) []need {
	switch req := m.Body.(type) {
	case *types.CloneVM_Task:
		return l.cloneNeeds(m.This, req)
	case *types.ReconfigVM_Task:
		return configNeeds(m.This, &req.Spec)
	case *types.Destroy_Task:
		if m.This.Type == "VirtualMachine" {
			return []need{{"VirtualMachine.Inventory.Delete", m.This}}
		}
	case *types.SetField:
		return []need{{"Global.SetCustomField", req.Entity}}
	}
	if privilege := needed[m.Name]; privilege != "" {
		return []need{{privilege, m.This}}
	}
	return nil
}

// cloneNeeds: what is changed while cloning is needed on the new VM, thus on its folder.
func (l *lab) cloneNeeds(source ref, req *types.CloneVM_Task) []need {
	out := []need{{"VirtualMachine.Provisioning.Clone", source}, {"VirtualMachine.Inventory.CreateFromExisting", req.Folder}}
	if vm, ok := l.reg.Get(source).(*simulator.VirtualMachine); ok && vm.Config != nil && vm.Config.Template {
		out[0].privilege = "VirtualMachine.Provisioning.DeployTemplate"
	}
	if p := req.Spec.Location.Pool; p != nil {
		out = append(out, need{"Resource.AssignVMToPool", *p})
	}
	if d := req.Spec.Location.Datastore; d != nil {
		out = append(out, need{"Datastore.AllocateSpace", *d})
	}
	if req.Spec.PowerOn {
		out = append(out, need{"VirtualMachine.Interact.PowerOn", req.Folder})
	}
	if req.Spec.Customization != nil {
		out = append(out, need{"VirtualMachine.Provisioning.Customize", source})
	}
	if req.Spec.Config != nil {
		out = append(out, configNeeds(req.Folder, req.Spec.Config)...)
	}
	return append(out, deviceNeeds(req.Folder, req.Spec.Location.DeviceChange)...)
}

func configNeeds(on ref, c *types.VirtualMachineConfigSpec) []need {
	out := deviceNeeds(on, c.DeviceChange)
	for privilege, set := range map[string]bool{
		"VirtualMachine.Config.CPUCount":       c.NumCPUs > 0,
		"VirtualMachine.Config.Memory":         c.MemoryMB > 0,
		"VirtualMachine.Config.Rename":         c.Name != "",
		"VirtualMachine.Config.Annotation":     c.Annotation != "",
		"VirtualMachine.Config.AdvancedConfig": len(c.ExtraConfig) > 0,
	} {
		if set {
			out = append(out, need{privilege, on})
		}
	}
	return out
}

func deviceNeeds(on ref, changes []types.BaseVirtualDeviceConfigSpec) []need {
	var out []need
	for _, change := range changes {
		spec := change.GetVirtualDeviceConfigSpec()
		switch d := spec.Device.(type) {
		case *types.VirtualDisk:
			privilege := "VirtualMachine.Config.DiskExtend"
			switch {
			case spec.Operation == types.VirtualDeviceConfigSpecOperationRemove:
				privilege = "VirtualMachine.Config.RemoveDisk"
			case spec.FileOperation == types.VirtualDeviceConfigSpecFileOperationCreate:
				privilege = "VirtualMachine.Config.AddNewDisk"
			case spec.Operation == types.VirtualDeviceConfigSpecOperationAdd:
				privilege = "VirtualMachine.Config.AddExistingDisk"
			}
			out = append(out, need{privilege, on})
		case types.BaseVirtualEthernetCard:
			switch b := d.GetVirtualEthernetCard().Backing.(type) {
			case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
				out = append(out, need{"Network.Assign", ref{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey}})
			case *types.VirtualEthernetCardNetworkBackingInfo:
				if b.Network != nil {
					out = append(out, need{"Network.Assign", *b.Network})
				}
			}
		}
	}
	return out
}

var changing = regexp.MustCompile(`_Task$|^(Mark|Set|Add|Remove|Create|Rename|Update|Destroy|Register|Unregister|Shutdown|Reboot|Standby|Attach|Detach)`)
var harmless = regexp.MustCompile(`^(Create(Filter|PropertyCollector|ContainerView|ListView|InventoryView|Collector.*)|Destroy(PropertyFilter|PropertyCollector|View|Collector))$`)

// granted says whether the user has the privilege on the object.
func (l *lab) granted(user string, n need) bool {
	g := &l.grants
	g.mu.Lock()
	denials := slices.Clone(g.denials)
	g.mu.Unlock()
	if user == g.reader && !strings.HasPrefix(n.privilege, "System.") {
		return false
	}
	for _, d := range denials {
		if d.Privilege == n.privilege && (d.User == "" || d.User == user) && (d.Object == "" || l.under(n.object, d.Object)) {
			return false
		}
	}
	return true
}

// under says whether the object is the named one or below it.
func (l *lab) under(r ref, name string) bool {
	for at := &r; at != nil; {
		if l.named(*at, name) {
			return true
		}
		e, ok := l.reg.Get(*at).(mo.Entity)
		if !ok {
			return false
		}
		at = e.Entity().Parent
	}
	return false
}

// refused is the fault of a call that its user may not make.
func (l *lab) refused(ctx *simulator.Context, m *simulator.Method) types.BaseMethodFault {
	if ctx.Session == nil {
		return nil
	}
	user := ctx.Session.UserName
	for _, n := range l.needs(m) {
		if !l.granted(user, n) {
			return &types.NoPermission{Object: &n.object, PrivilegeId: n.privilege}
		}
	}
	if user == l.grants.reader && changing.MatchString(m.Name) && !harmless.MatchString(m.Name) {
		return &types.NoPermission{Object: &m.This, PrivilegeId: "System.Modify"}
	}
	return nil
}

// authorization answers what privileges there are as `granted` does; the simulator says yes to all.
type authorization struct {
	*simulator.AuthorizationManager
	lab *lab
}

func (a *authorization) entities(user string, entities []ref, privileges []string) []types.EntityPrivilege {
	var out []types.EntityPrivilege
	for _, e := range entities {
		p := types.EntityPrivilege{Entity: e}
		for _, id := range privileges {
			p.PrivAvailability = append(p.PrivAvailability,
				types.PrivilegeAvailability{PrivId: id, IsGranted: a.lab.granted(user, need{id, e})})
		}
		out = append(out, p)
	}
	return out
}

func (a *authorization) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	found := a.entities(ctx.Session.UserName, req.Entity, req.PrivId)
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{Returnval: found}}
}

func (a *authorization) HasUserPrivilegeOnEntities(_ *simulator.Context, req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	found := a.entities(req.UserName, req.Entities, req.PrivId)
	return &methods.HasUserPrivilegeOnEntitiesBody{Res: &types.HasUserPrivilegeOnEntitiesResponse{Returnval: found}}
}

func (a *authorization) HasPrivilegeOnEntity(ctx *simulator.Context, req *types.HasPrivilegeOnEntity) soap.HasFault {
	var found []bool
	for _, id := range req.PrivId {
		found = append(found, a.lab.granted(ctx.Session.UserName, need{id, req.Entity}))
	}
	return &methods.HasPrivilegeOnEntityBody{Res: &types.HasPrivilegeOnEntityResponse{Returnval: found}}
}

func (a *authorization) FetchUserPrivilegeOnEntities(ctx *simulator.Context, req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	res := a.AuthorizationManager.FetchUserPrivilegeOnEntities(req)
	if body, ok := res.(*methods.FetchUserPrivilegeOnEntitiesBody); ok && body.Res != nil {
		for i := range body.Res.Returnval {
			r := &body.Res.Returnval[i]
			r.Privileges = slices.DeleteFunc(slices.Clone(r.Privileges), func(id string) bool {
				return !a.lab.granted(req.UserName, need{id, r.Entity})
			})
		}
	}
	return res
}
