// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// withholding is the lab whose rules collectors look at: the simulator makes a
// session's collector from its type alone.
var withholding *lab

// RetrievePropertiesEx is the simulator's, under the rules of kind missing: a
// real vCenter answers a read without a session, or without System.Read, with
// the objects, and the fault per property.
func (pc *collector) RetrievePropertiesEx(ctx *simulator.Context, r *types.RetrievePropertiesEx) soap.HasFault {
	res := pc.PropertyCollector.RetrievePropertiesEx(ctx, r)
	if body, ok := res.(*methods.RetrievePropertiesExBody); ok && body.Res != nil && body.Res.Returnval != nil {
		body.Res.Returnval.Objects = withholding.withhold("RetrievePropertiesEx", body.Res.Returnval.Objects)
	}
	return res
}

// ContinueRetrievePropertiesEx leaves unset properties out, which the simulator
// does on the first page only: pyvmomi cannot parse them.
func (pc *collector) ContinueRetrievePropertiesEx(ctx *simulator.Context, r *types.ContinueRetrievePropertiesEx) soap.HasFault {
	res := pc.PropertyCollector.ContinueRetrievePropertiesEx(ctx, r)
	if body, ok := res.(*methods.ContinueRetrievePropertiesExBody); ok && body.Res != nil {
		for i := range body.Res.Returnval.Objects {
			o := &body.Res.Returnval.Objects[i]
			var set []types.DynamicProperty
			for _, p := range o.PropSet {
				if p.Val != nil {
					set = append(set, p)
				}
			}
			o.PropSet = set
		}
		body.Res.Returnval.Objects = withholding.withhold("ContinueRetrievePropertiesEx", body.Res.Returnval.Objects)
	}
	return res
}

// RetrieveProperties is the old form, without pages.
func (pc *collector) RetrieveProperties(ctx *simulator.Context, r *types.RetrieveProperties) soap.HasFault {
	res := pc.PropertyCollector.RetrieveProperties(ctx, r)
	if body, ok := res.(*methods.RetrievePropertiesBody); ok && body.Res != nil {
		body.Res.Returnval = withholding.withhold("RetrieveProperties", body.Res.Returnval)
	}
	return res
}

// withhold moves what the rules name from propSet to missingSet.
func (l *lab) withhold(method string, objects []types.ObjectContent) []types.ObjectContent {
	for _, u := range l.traffic.struck(l, method, objects) {
		for i := range objects {
			o := &objects[i]
			if u.Contains != "" && !l.named(o.Obj, u.Contains) {
				continue
			}
			var left []types.DynamicProperty
			for _, p := range o.PropSet {
				if u.Path != "" && u.Path != p.Name {
					left = append(left, p)
					continue
				}
				o.MissingSet = append(o.MissingSet, types.MissingProperty{
					Path: p.Name, Fault: types.LocalizedMethodFault{Fault: u.fault, LocalizedMessage: u.Message}})
			}
			o.PropSet = left
		}
	}
	return objects
}

// struck are the missing rules for this answer; one that names an object strikes only where it is in the answer.
func (t *traffic) struck(l *lab, method string, objects []types.ObjectContent) []*rule {
	text := ""
	t.mu.Lock()
	for _, u := range t.rules {
		for _, o := range objects {
			if u.Kind == "missing" && u.Contains != "" && l.named(o.Obj, u.Contains) {
				text += " " + u.Contains
				break
			}
		}
	}
	t.mu.Unlock()
	return t.match(method, text, "missing")
}
