/* lvm_internal.h - what the files of the LVM module share */
#ifndef VMFERRY_LVM_INTERNAL_H
#define VMFERRY_LVM_INTERNAL_H

#include <vmferry/lvm.h>
#include <vmferry/run.h>
#include <vmferry/units.h>

int vmf_lvm_run(const char *const *argv, char **text, struct vmf_error *err);
/* The volume "VG/LV", or by the path of its device. */
int vmf_lvm_look(const char *what, struct vmf_lv *lv, struct vmf_error *err);
bool vmf_lvm_exists(const char *vg, const char *name, struct vmf_lv *lv);
int vmf_lvm_wait_node(const char *path, struct vmf_error *err);
/* Whatever udev is doing with it. */
int vmf_lvm_remove(const char *vg, const char *name, struct vmf_error *err);

#endif
