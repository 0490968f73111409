/* map_mac.c - one spelling for each MAC; see vmferry/map.h */
#include <ctype.h>
#include <string.h>

#include <vmferry/map.h>

bool
vmf_map_mac_plain(const char *text, char mac[VMF_MAP_MAC_TEXT])
{
	char plain[VMF_MAP_MAC_TEXT] = "";
	size_t i;

	for (i = 0; i < VMF_MAP_MAC_TEXT - 1; i++) {
		if (i % 3 == 2 ? text[i] != ':'
			       : !isxdigit((unsigned char)text[i]))
			return false;
		plain[i] = (char)tolower((unsigned char)text[i]);
	}
	if (text[i] != '\0')
		return false;
	memcpy(mac, plain, sizeof(plain));
	return true;
}
