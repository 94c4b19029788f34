# shellcheck shell=bash
# A made-up host for tests: what the kernel says of PCI devices, NUMA nodes and huge pages, below
# a directory of its own. The host configuration's gpu_stand_in names it.

# A node with so many CPUs from FIRST on, and free huge pages of 2 MiB.
tree_node() { # ROOT NODE FIRST-CPU CPUS PAGES
    local dir=$1/sys/devices/system/node/node$2 pages online
    pages=$dir/hugepages/hugepages-2048kB
    mkdir -p "$pages" "$1/sys/bus/pci/devices" "$1/dev/vfio"
    echo "$3-$(($3 + $4 - 1))" >"$dir/cpulist"
    echo "$5" >"$pages/free_hugepages"
    online=$(cd "$1/sys/devices/system/node" && printf '%s\n' node*)
    tr '\n' ',' <<<"${online//node/}" | sed 's/,$//' >"$1/sys/devices/system/node/online"
    touch "$1/dev/vfio/vfio"
}

# A device with a 64-bit range of so many MiB, in an IOMMU group of its own unless one is named.
tree_device() { # ROOT ADDRESS VENDOR:DEVICE NODE [DRIVER] [MIB] [GROUP]
    local dir=$1/sys/bus/pci/devices/$2 driver=${5-vfio-pci} mib=${6:-16} group=${7:-}
    local end
    [ -n "$group" ] || group=$((16#${2:5:2}))
    mkdir -p "$dir" "$1/sys/bus/pci/drivers/$driver" "$1/sys/kernel/iommu_groups/$group/devices"
    echo "0x${3%:*}" >"$dir/vendor"
    echo "0x${3#*:}" >"$dir/device"
    echo 0x030200 >"$dir/class"
    echo "$4" >"$dir/numa_node"
    printf -v end '0x%016x' $((mib * 1024 * 1024 - 1))
    {
        echo "0x0000000000000000 $end 0x000000000014220c"
        yes '0x0000000000000000 0x0000000000000000 0x0000000000000000' | head -n 12
    } >"$dir/resource"
    [ -z "$driver" ] || ln -sfn "../../drivers/$driver" "$dir/driver"
    ln -sfn "../../../../kernel/iommu_groups/$group" "$dir/iommu_group"
    ln -sfn "../../../../bus/pci/devices/$2" "$1/sys/kernel/iommu_groups/$group/devices/$2"
    touch "$1/dev/vfio/$group"
}
