/* domain_allow.c - the words of --allow; see vmferry/domain.h */
#include <string.h>

#include <vmferry/domain.h>

static const char *const names[VMF_NAMES_KINDS] = {
    [VMF_NAMES_DISK] = "disk",
    [VMF_NAMES_NVRAM] = "nvram",
    [VMF_NAMES_FIRMWARE] = "firmware",
    [VMF_NAMES_KERNEL] = "kernel",
    [VMF_NAMES_EMULATOR] = "emulator",
    [VMF_NAMES_COMMANDLINE] = "commandline",
    [VMF_NAMES_HOSTDEV] = "hostdev",
    [VMF_NAMES_FILESYSTEM] = "filesystem",
    [VMF_NAMES_CHARDEV] = "chardev",
    [VMF_NAMES_INTERFACE] = "interface",
    [VMF_NAMES_NETWORK] = "network",
    [VMF_NAMES_GRAPHICS] = "graphics",
    [VMF_NAMES_DEVICE] = "device",
    [VMF_NAMES_MEMORY] = "memory",
    [VMF_NAMES_PINNING] = "pinning",
    [VMF_NAMES_RESOURCE] = "resource",
    [VMF_NAMES_SECLABEL] = "seclabel",
    [VMF_NAMES_SECRET] = "secret",
    [VMF_NAMES_METADATA] = "metadata",
    [VMF_NAMES_UNKNOWN] = "unknown",
};

const char *
vmf_domain_allow_name(enum vmf_domain_kind kind)
{
	return names[kind];
}

static int
allow_word(const char *word, size_t len, uint32_t *allow, struct vmf_error *err)
{
	size_t i;

	if (len == 3 && strncmp(word, "all", 3) == 0) {
		*allow = ~UINT32_C(0);
		return 0;
	}
	for (i = 0; i < VMF_NAMES_KINDS; i++)
		if (strlen(names[i]) == len &&
		    strncmp(names[i], word, len) == 0) {
			*allow |= UINT32_C(1) << i;
			return 0;
		}
	return vmf_fail(err, VMF_USAGE,
	    "'%.*s' is nothing to allow; there are disk, nvram, firmware, "
	    "kernel, emulator, commandline, hostdev, filesystem, chardev, "
	    "interface, network, graphics, device, memory, pinning, resource, "
	    "seclabel, secret, metadata, unknown and all",
	    (int)len, word);
}

int
vmf_domain_allow(const char *words, uint32_t *allow, struct vmf_error *err)
{
	size_t len;

	for (;; words += len + 1) {
		len = strcspn(words, ",");
		if (allow_word(words, len, allow, err) == -1)
			return -1;
		if (words[len] == '\0')
			return 0;
	}
}
