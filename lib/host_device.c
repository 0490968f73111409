/* host_device.c - devices of this machine that guests can be given */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_conn.h"

#define USB_DIR "/sys/bus/usb/devices"

static bool
is_there(const char *dir, const char *name)
{
	char path[512];

	if (name[0] == '\0' || strchr(name, '/') != NULL ||
	    snprintf(path, sizeof(path), "%s/%s", dir, name) >=
		(int)sizeof(path))
		return false;
	return access(path, F_OK) == 0;
}

/* A small number in a file of a USB device; -1: none. */
static long
read_number(const char *device, const char *file, int base)
{
	char path[512], text[16] = "";
	FILE *in;
	long n = -1;

	if (snprintf(path, sizeof(path), USB_DIR "/%s/%s", device, file) >=
		(int)sizeof(path) ||
	    (in = fopen(path, "re")) == NULL)
		return -1;
	if (fgets(text, sizeof(text), in) != NULL)
		n = strtol(text, NULL, base);
	fclose(in);
	return n;
}

/* "1234:beef", vendor and product, or "001/004", bus and device. */
static bool
has_usb(const char *name)
{
	bool by_kind = strchr(name, ':') != NULL, found = false;
	int base = by_kind ? 16 : 10;
	const char *first = by_kind ? "idVendor" : "busnum";
	const char *second = by_kind ? "idProduct" : "devnum";
	char *end;
	long a = strtol(name, &end, base), b;
	struct dirent *entry;
	DIR *dir;

	if (*end != ':' && *end != '/')
		return false;
	b = strtol(end + 1, NULL, base);
	if ((dir = opendir(USB_DIR)) == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL)
		found = read_number(entry->d_name, first, base) == a &&
			read_number(entry->d_name, second, base) == b;
	closedir(dir);
	return found;
}

bool
vmf_host_device_there(const char *name)
{
	if (strncmp(name, "pci ", 4) == 0)
		return is_there("/sys/bus/pci/devices", name + 4);
	if (strncmp(name, "mdev ", 5) == 0)
		return is_there("/sys/bus/mdev/devices", name + 5);
	if (strncmp(name, "scsi scsi_", 10) == 0)
		return is_there("/sys/class/scsi_host", name + 10);
	if (strncmp(name, "usb ", 4) == 0)
		return has_usb(name + 4);
	return true;
}
