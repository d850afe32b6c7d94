/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the skeletons are made of. A skeleton has of its board's devicetree only the facts that a
 * flash layout depends on: where the flash is, how large, in which units it is erased and written,
 * and what lies in it. It is written in both of Zephyr's styles: with MAPPED as newer trees have it,
 * without as older ones do.
 *
 * FLASH: address and bytes, without 0x in front of the address; erase unit, write unit. PARTITION:
 * label; offset, without 0x; bytes.
 */

#define CELLS #address-cells = <1>; #size-cells = <1>;

#define SOC / { CELLS soc { CELLS ranges;
#define END }; };

#ifdef MAPPED
#define RANGES ranges;
#define FLASH_RANGES(address, bytes) CELLS ranges = <0x0 0x##address bytes>;
#define PARTITIONS partitions { ranges; CELLS
#define PARTITION(name, at, bytes) name: partition@at { \
	compatible = "zephyr,mapped-partition"; label = #name; reg = <0x##at bytes>; };
#else
#define RANGES
#define FLASH_RANGES(address, bytes)
#define PARTITIONS partitions { compatible = "fixed-partitions"; CELLS
#define PARTITION(name, at, bytes) name: partition@at { \
	label = #name; reg = <0x##at bytes>; };
#endif

#define CONTROLLER(name, address, kind) name: flash-controller@address { \
	compatible = kind; reg = <0x##address 0x1000>; CELLS RANGES

#define FLASH(name, address, bytes, e, w) name: flash@address { \
	compatible = "soc-nv-flash"; reg = <0x##address bytes>; FLASH_RANGES(address, bytes) \
	erase-block-size = <e>; write-block-size = <w>;
