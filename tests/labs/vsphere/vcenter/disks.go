// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// aroundDisks does what has to be done to disks besides the task itself. The
// answer is to be called when the work is done.
func (l *lab) aroundDisks(m *simulator.Method) func(types.BaseMethodFault) {
	switch req := m.Body.(type) {
	case *types.Destroy_Task:
		if m.This.Type == "VirtualMachine" {
			restore := l.keepDisks(m.This)
			return func(fault types.BaseMethodFault) {
				restore(fault)
				if fault == nil {
					l.leavePools(m.This)
				}
			}
		}
	case *types.AttachDisk_Task:
		return func(fault types.BaseMethodFault) {
			if fault == nil {
				l.plugFirstClass(m.This, req.DiskId)
			}
		}
	case *types.DetachDisk_Task:
		return func(fault types.BaseMethodFault) {
			if fault == nil {
				l.unplugFirstClass(m.This, req.DiskId)
			}
		}
	}
	return func(types.BaseMethodFault) {}
}

// fillCapacity completes disks that have their capacity in KB or in bytes only,
// which vCenter takes and the simulator makes disks of size 0 of.
func fillCapacity(m *simulator.Method) {
	var changes []types.BaseVirtualDeviceConfigSpec
	switch req := m.Body.(type) {
	case *types.CloneVM_Task:
		if req.Spec.Config != nil {
			changes = req.Spec.Config.DeviceChange
		}
		changes = append(slices.Clone(changes), req.Spec.Location.DeviceChange...)
	case *types.ReconfigVM_Task:
		changes = req.Spec.DeviceChange
	}
	for _, change := range changes {
		if disk, ok := change.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk); ok {
			if disk.CapacityInBytes == 0 {
				disk.CapacityInBytes = disk.CapacityInKB << 10
			} else if disk.CapacityInKB == 0 {
				disk.CapacityInKB = disk.CapacityInBytes >> 10
			}
		}
	}
}

// plugFirstClass adds the device that the simulator's AttachDisk_Task leaves out.
func (l *lab) plugFirstClass(r ref, id types.ID) {
	l.lock(func(ctx *simulator.Context) {
		vm, ok := l.reg.Get(r).(*simulator.VirtualMachine)
		if !ok {
			return
		}
		for datastore, objects := range ctx.Map.VStorageObjectManager().Catalog() {
			found := objects[id]
			if found == nil {
				continue
			}
			backing, ok := found.Config.Backing.(*types.BaseConfigInfoDiskFileBackingInfo)
			if !ok {
				return
			}
			devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
			controller, err := devices.FindDiskController("")
			if err != nil {
				return
			}
			disk := devices.CreateDisk(controller, datastore, backing.FilePath)
			disk.VDiskId, disk.CapacityInKB = &id, found.Config.CapacityInMB<<10
			disk.CapacityInBytes = disk.CapacityInKB << 10
			disk.Key = 4000
			for devices.FindByKey(disk.Key) != nil {
				disk.Key++
			}
			l.setDevices(ctx, vm, append(devices, disk))
			return
		}
	}, r)
}

func (l *lab) unplugFirstClass(r ref, id types.ID) {
	l.lock(func(ctx *simulator.Context) {
		vm, ok := l.reg.Get(r).(*simulator.VirtualMachine)
		if !ok {
			return
		}
		var left object.VirtualDeviceList
		for _, d := range vm.Config.Hardware.Device {
			if disk, ok := d.(*types.VirtualDisk); !ok || disk.VDiskId == nil || *disk.VDiskId != id {
				left = append(left, d)
			}
		}
		l.setDevices(ctx, vm, left)
	}, r)
}

func (l *lab) setDevices(ctx *simulator.Context, vm *simulator.VirtualMachine, devices object.VirtualDeviceList) {
	ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: []types.BaseVirtualDevice(devices)}})
}

// keepDisks saves the disks in a VM's folder that are not (or no longer) its
// own: vCenter leaves them, the simulator would delete the whole folder. The
// answer brings them back.
func (l *lab) keepDisks(r ref) func(types.BaseMethodFault) {
	moved, folder := map[string]string{}, ""
	l.lock(func(*simulator.Context) {
		vm, ok := l.reg.Get(r).(*simulator.VirtualMachine)
		if ok && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
			folder = l.moveOthers(vm, moved)
		}
	}, r)
	return func(types.BaseMethodFault) {
		for i := 0; i < 100 && len(moved) > 0; i++ { // the folder is deleted by another task
			if _, err := os.Stat(folder); err != nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		for file, aside := range moved {
			_ = os.MkdirAll(filepath.Dir(file), 0o700)
			_ = os.Rename(aside, file)
		}
	}
}

// moveOthers puts the disks in the VM's folder that are not its own aside and returns the folder.
func (l *lab) moveOthers(vm *simulator.VirtualMachine, moved map[string]string) string {
	own := map[string]bool{}
	for _, d := range disks(vm) {
		if b, ok := d.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
			own[filepath.Base(b.GetVirtualDeviceFileBackingInfo().FileName)] = true
		}
	}
	var path object.DatastorePath
	if !path.FromString(vm.Config.Files.LogDirectory) {
		return ""
	}
	folder := ""
	for _, d := range vm.Datastore {
		ds, ok := l.reg.Get(d).(*simulator.Datastore)
		if !ok || ds.Name != path.Datastore {
			continue
		}
		folder = filepath.Join(ds.Summary.Url, path.Path)
		files, _ := filepath.Glob(filepath.Join(folder, "*.vmdk"))
		for _, file := range files {
			if base := filepath.Base(file); !own[base] && !own[strings.Replace(base, "-flat.vmdk", ".vmdk", 1)] {
				moved[file] = filepath.Join(filepath.Dir(ds.Summary.Url), uuid.NewString())
				_ = os.Rename(file, moved[file])
			}
		}
	}
	return folder
}
