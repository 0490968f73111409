/*
 * domain_firmware.c - like firmware of another distribution
 *
 * Files in one row hold the same flash layout and features (size of the
 * variable store, Secure Boot, enrolled keys), so that the variables a guest
 * has stay valid under any of them.  Never across rows.
 * Sources: file lists and /usr/share/qemu/firmware of Debian 12 ovmf and
 * qemu-efi-aarch64, Fedora and RHEL edk2-ovmf and edk2-aarch64, openSUSE
 * qemu-ovmf-x86_64, Arch edk2-ovmf.
 */
#include <string.h>

#include "domain_tree.h"

#define MEMBERS 8

static const char *const rows[][MEMBERS] = {
    /* x86_64, 2 MiB, no Secure Boot */
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd",
	"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
	"/usr/share/qemu/ovmf-x86_64-code.bin"},
    {"/usr/share/OVMF/OVMF_VARS.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd",
	"/usr/share/edk2-ovmf/x64/OVMF_VARS.fd",
	"/usr/share/qemu/ovmf-x86_64-vars.bin"},
    /* x86_64, 2 MiB, Secure Boot with SMM */
    {"/usr/share/OVMF/OVMF_CODE.secboot.fd",
	"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
	"/usr/share/edk2-ovmf/x64/OVMF_CODE.secboot.fd",
	"/usr/share/qemu/ovmf-x86_64-smm-code.bin"},
    {"/usr/share/OVMF/OVMF_VARS.secboot.fd",
	"/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
	"/usr/share/OVMF/OVMF_VARS.ms.fd"},
    /* x86_64, 4 MiB, no Secure Boot */
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
	"/usr/share/qemu/ovmf-x86_64-4m-code.bin"},
    {"/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
	"/usr/share/qemu/ovmf-x86_64-4m-vars.bin"},
    /* x86_64, 4 MiB, Secure Boot with SMM; then its keys of Microsoft */
    {"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
	"/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
	"/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd",
	"/usr/share/qemu/ovmf-x86_64-smm-4m-code.bin"},
    {"/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
	"/usr/share/qemu/ovmf-x86_64-smm-ms-4m-vars.bin"},
    /* the same in qcow2 */
    {"/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",
	"/usr/share/OVMF/OVMF_CODE_4M.qcow2"},
    {"/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2",
	"/usr/share/OVMF/OVMF_VARS_4M.qcow2"},
    {"/usr/share/edk2/ovmf/OVMF_CODE_4M.secboot.qcow2",
	"/usr/share/OVMF/OVMF_CODE_4M.secboot.qcow2"},
    {"/usr/share/edk2/ovmf/OVMF_VARS_4M.secboot.qcow2",
	"/usr/share/OVMF/OVMF_VARS_4M.secboot.qcow2"},
    /* aarch64, 64 MiB raw */
    {"/usr/share/AAVMF/AAVMF_CODE.fd",
	"/usr/share/edk2/aarch64/QEMU_EFI-silent-pflash.raw",
	"/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
	"/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd",
	"/usr/share/qemu/aavmf-aarch64-code.bin"},
    {"/usr/share/AAVMF/AAVMF_VARS.fd",
	"/usr/share/edk2/aarch64/vars-template-pflash.raw",
	"/usr/share/qemu/aavmf-aarch64-vars.bin"},
    /* BIOS */
    {"/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin",
	"/usr/share/seabios/bios.bin"},
};

const char *
vmf_domain_firmware_like(
    const char *path, bool (*there)(void *ctx, const char *path), void *ctx)
{
	size_t row, i;

	for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		for (i = 0; i < MEMBERS && rows[row][i] != NULL; i++)
			if (strcmp(rows[row][i], path) == 0)
				break;
		if (i == MEMBERS || rows[row][i] == NULL)
			continue;
		for (i = 0; i < MEMBERS && rows[row][i] != NULL; i++)
			if (strcmp(rows[row][i], path) != 0 &&
			    there(ctx, rows[row][i]))
				return rows[row][i];
	}
	return NULL;
}
