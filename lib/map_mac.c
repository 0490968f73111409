/* map_mac.c - one spelling for each MAC; see vmferry/map.h */
#include <ctype.h>

#include <vmferry/map.h>

bool
vmf_map_mac_plain(const char *text, char mac[VMF_MAP_MAC_TEXT])
{
	size_t i;

	for (i = 0; i < VMF_MAP_MAC_TEXT - 1; i++) {
		if (i % 3 == 2 ? text[i] != ':'
			       : !isxdigit((unsigned char)text[i]))
			return false;
		mac[i] = (char)tolower((unsigned char)text[i]);
	}
	mac[i] = '\0';
	return text[i] == '\0';
}
