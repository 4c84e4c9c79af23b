// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

type seedSpec struct{ dcs, clusters, hosts, datastores, vms int }

// seed makes: datacenters lab-dc (lab-dc2...), clusters fd-a, fd-b... (the
// failure domains) with hosts esx-a1..., a pool fleet in each, datastores
// ds-a, ds-a-2... (one cluster) and ds-shared (all), switch dvs-lab with port groups
// pg-nodes and pg-storage, folders fleet, templates, filler, the datastore cluster
// dsc-fast, and the golden templates golden-base-v1 and -v2 with a snapshot "golden" each.
func (l *lab) seed(ctx context.Context, s seedSpec) error {
	c, err := vim25.NewClient(ctx, l.model.Service)
	if err != nil {
		return err
	}
	for d := 1; d <= s.dcs; d++ {
		suffix := ""
		if d > 1 {
			suffix = fmt.Sprint(d)
		}
		if err := l.seedDC(ctx, c, s, suffix); err != nil {
			return err
		}
	}
	l.markSeeded()
	return nil
}

func (l *lab) markSeeded() {
	for _, e := range l.reg.All("VirtualMachine") {
		l.seeded[e.Reference()] = true
	}
}

func (l *lab) seedDC(ctx context.Context, c *vim25.Client, s seedSpec, suffix string) error {
	dc, err := object.NewRootFolder(c).CreateDatacenter(ctx, "lab-dc"+suffix)
	if err != nil {
		return err
	}
	f, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	dvs, err := result(ctx, func() (*object.Task, error) {
		return f.NetworkFolder.CreateDVS(ctx, types.DVSCreateSpec{ConfigSpec: &types.VMwareDVSConfigSpec{
			DVSConfigSpec: types.DVSConfigSpec{Name: "dvs-lab" + suffix}}})
	})
	if err != nil {
		return err
	}
	sw := object.NewDistributedVirtualSwitch(c, *dvs)
	if _, err = result(ctx, func() (*object.Task, error) {
		var pgs []types.DVPortgroupConfigSpec
		for _, n := range []string{"pg-nodes", "pg-storage"} {
			pgs = append(pgs, types.DVPortgroupConfigSpec{Name: n + suffix, NumPorts: 128,
				Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding)})
		}
		return sw.AddPortgroup(ctx, pgs)
	}); err != nil {
		return err
	}

	var pools []*object.ResourcePool
	var all []*object.HostSystem
	for i := 0; i < s.clusters; i++ {
		letter := string(rune('a'+i%26)) + suffix
		spec := types.ClusterConfigSpecEx{DrsConfig: &types.ClusterDrsConfigInfo{Enabled: types.NewBool(true),
			DefaultVmBehavior: types.DrsBehaviorFullyAutomated}}
		cl, err := f.HostFolder.CreateCluster(ctx, "fd-"+letter, spec)
		if err != nil {
			return err
		}
		var hosts []*object.HostSystem
		for h := 1; h <= s.hosts; h++ {
			ref, err := result(ctx, func() (*object.Task, error) {
				return cl.AddHost(ctx, types.HostConnectSpec{HostName: fmt.Sprintf("esx-%s%d.lab", letter, h)}, true, nil, nil)
			})
			if err != nil {
				return err
			}
			hosts = append(hosts, object.NewHostSystem(c, *ref))
			if _, err := result(ctx, func() (*object.Task, error) {
				return sw.Reconfigure(ctx, &types.DVSConfigSpec{Host: []types.DistributedVirtualSwitchHostMemberConfigSpec{
					{Operation: string(types.ConfigSpecOperationAdd), Host: *ref}}})
			}); err != nil {
				return err
			}
		}
		for d := 1; d <= s.datastores; d++ {
			name := "ds-" + letter
			if d > 1 {
				name += fmt.Sprintf("-%d", d)
			}
			if err := l.datastore(ctx, name, hosts); err != nil {
				return err
			}
		}
		all = append(all, hosts...)
		root, err := cl.ResourcePool(ctx)
		if err != nil {
			return err
		}
		pool, err := root.Create(ctx, "fleet", types.DefaultResourceConfigSpec())
		if err != nil {
			return err
		}
		pools = append(pools, pool)
	}
	if err := l.datastore(ctx, "ds-shared"+suffix, all); err != nil {
		return err
	}

	folders := map[string]*object.Folder{}
	for _, n := range []string{"fleet", "templates", "filler"} {
		if folders[n], err = f.VmFolder.CreateFolder(ctx, n); err != nil {
			return err
		}
	}
	var nets []types.ManagedObjectReference
	for _, e := range l.reg.All("DistributedVirtualPortgroup") {
		nets = append(nets, e.Reference())
	}
	net := l.reg.FindByName("pg-nodes"+suffix, nets).Reference()
	backing, err := object.NewDistributedVirtualPortgroup(c, net).EthernetCardBackingInfo(ctx)
	if err != nil {
		return err
	}
	templates := func(ctx context.Context) error {
		for v := 1; v <= 2; v++ {
			if err := l.template(ctx, c, v, suffix, folders["templates"], pools[0], backing); err != nil {
				return err
			}
		}
		return nil
	}
	if err := templates(ctx); err != nil {
		return err
	}
	l.restore = append(l.restore, templates)
	if err := l.podOf(ctx, c, f, "dsc-fast"+suffix, all); err != nil {
		return err
	}
	for i := 0; i < s.vms; i++ {
		vm, err := l.newVM(ctx, c, folders["filler"], pools[i%len(pools)], backing, types.VirtualMachineConfigSpec{
			Name: fmt.Sprintf("filler-%04d%s", i, suffix), NumCPUs: 1, MemoryMB: 512,
			Files: &types.VirtualMachineFileInfo{VmPathName: "[ds-shared" + suffix + "]"}})
		if err != nil {
			return err
		}
		if _, err := result(ctx, func() (*object.Task, error) { return vm.PowerOn(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// template makes golden-base-vN unless it is there.
func (l *lab) template(ctx context.Context, c *vim25.Client, v int, suffix string, folder *object.Folder,
	pool *object.ResourcePool, net types.BaseVirtualDeviceBackingInfo) error {
	name := fmt.Sprintf("golden-base-v%d%s", v, suffix)
	if _, err := l.find("VirtualMachine", name); err == nil {
		return nil
	}
	vm, err := l.newVM(ctx, c, folder, pool, net, types.VirtualMachineConfigSpec{
		Name: name, NumCPUs: 2, MemoryMB: 2048,
		Files:      &types.VirtualMachineFileInfo{VmPathName: "[ds-shared" + suffix + "]"},
		Annotation: fmt.Sprintf("golden image base version %d", v),
		ExtraConfig: []types.BaseOptionValue{
			&types.OptionValue{Key: "golden.name", Value: "base"},
			&types.OptionValue{Key: "golden.version", Value: fmt.Sprint(v)},
			&types.OptionValue{Key: "golden.digest", Value: fmt.Sprintf("sha256:%064d", v)},
		}})
	if err != nil {
		return err
	}
	if _, err := result(ctx, func() (*object.Task, error) {
		return vm.CreateSnapshot(ctx, "golden", "for linked clones", false, false)
	}); err != nil {
		return err
	}
	l.seeded[vm.Reference()] = true
	return vm.MarkAsTemplate(ctx)
}

// podOf makes a datastore cluster of two datastores that all hosts see.
func (l *lab) podOf(ctx context.Context, c *vim25.Client, f *object.DatacenterFolders, name string, hosts []*object.HostSystem) error {
	pod, err := f.DatastoreFolder.CreateStoragePod(ctx, name)
	if err != nil {
		return err
	}
	var members []types.ManagedObjectReference
	for i := 1; i <= 2; i++ {
		member := fmt.Sprintf("%s-%d", name, i)
		if err := l.datastore(ctx, member, hosts); err != nil {
			return err
		}
		found, err := l.find("Datastore", member)
		if err != nil {
			return err
		}
		members = append(members, found)
	}
	_, err = result(ctx, func() (*object.Task, error) { return pod.MoveInto(ctx, members) })
	return err
}

func (l *lab) newVM(ctx context.Context, c *vim25.Client, folder *object.Folder, pool *object.ResourcePool,
	net types.BaseVirtualDeviceBackingInfo, spec types.VirtualMachineConfigSpec) (*object.VirtualMachine, error) {
	spec.GuestId = string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest)
	var dev object.VirtualDeviceList
	scsi, err := dev.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, err
	}
	disk := dev.CreateDisk(scsi.(types.BaseVirtualController), types.ManagedObjectReference{},
		spec.Files.VmPathName+" "+filepath.Join(spec.Name, "disk1.vmdk"))
	disk.CapacityInKB = 4 << 20
	nic, err := dev.CreateEthernetCard("vmxnet3", net)
	if err != nil {
		return nil, err
	}
	spec.DeviceChange, _ = object.VirtualDeviceList{scsi, disk, nic}.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	ref, err := result(ctx, func() (*object.Task, error) { return folder.CreateVM(ctx, spec, pool, nil) })
	if err != nil {
		return nil, err
	}
	return object.NewVirtualMachine(c, *ref), nil
}

func (l *lab) datastore(ctx context.Context, name string, hosts []*object.HostSystem) error {
	home := ""
	for _, o := range l.reg.OptionManager().Setting {
		if v := o.GetOptionValue(); v.Key == "vcsim.home" {
			home = v.Value.(string)
		}
	}
	dir := filepath.Join(home, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, h := range hosts {
		ds, err := h.ConfigManager().DatastoreSystem(ctx)
		if err != nil {
			return err
		}
		if _, err := ds.CreateLocalDatastore(ctx, name, dir); err != nil {
			return err
		}
	}
	return nil
}

func result(ctx context.Context, f func() (*object.Task, error)) (*types.ManagedObjectReference, error) {
	t, err := f()
	if err != nil {
		return nil, err
	}
	info, err := t.WaitForResult(ctx, nil)
	if err != nil {
		return nil, err
	}
	ref, _ := info.Result.(types.ManagedObjectReference)
	return &ref, nil
}
