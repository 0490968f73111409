# vmferry: GNU make.  `make help` lists the targets.
VERSION = 0.1.0
SOVERSION = 0

# The one list of tools: builds, tests, manuals and installs derive from it.
TOOLS = vmf-dump vmf-restore vmf-pack vmf-unpack vmf-verify vmf-info \
	vmf-send vmf-recv vmf-define vmf-move

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man

PACKAGES = libvirt libxml-2.0 libarchive libzstd libcrypto libssh2 \
	blkid libxxhash jansson
TEST_PACKAGES = cunit

BUILD ?= build
WERROR ?=
CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wwrite-strings -Wformat=2 $(WERROR)
VMF_CPPFLAGS = -Iinclude -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-DVMF_VERSION='"$(VERSION)"'
VMF_CFLAGS = -std=c11 -fPIC -pthread $(WARNINGS)
VMF_LDFLAGS = -pthread -Wl,--as-needed

PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
TEST_LIBS := $(shell pkg-config --libs $(TEST_PACKAGES) 2>/dev/null)

LIB_SRC := $(wildcard lib/*.c)
CLI_SRC := $(filter-out cmd/vmf-%,$(wildcard cmd/*.c))
TEST_SRC := $(filter-out tests/test_main.c,$(wildcard tests/test_*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
TEST_OBJ := $(TEST_SRC:%.c=$(BUILD)/%.o) $(BUILD)/tests/test_main.o
TOOL_BIN := $(TOOLS:%=$(BUILD)/bin/%)
STATIC_LIB = $(BUILD)/libvmferry.a
SHARED_LIB = $(BUILD)/libvmferry.so.$(SOVERSION)
UNIT = $(BUILD)/tests/unit

FORMATTED = $(wildcard lib/*.[ch] cmd/*.[ch] include/vmferry/*.h tests/*.[ch])

all: $(TOOL_BIN) $(STATIC_LIB) $(SHARED_LIB)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(VMF_CPPFLAGS) $(CPPFLAGS) $(VMF_CFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(STATIC_LIB): $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(SHARED_LIB): $(LIB_OBJ)
	$(CC) -shared -Wl,-soname,libvmferry.so.$(SOVERSION) $(VMF_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/bin/%: $(BUILD)/cmd/%.o $(CLI_OBJ) $(STATIC_LIB)
	@mkdir -p $(@D)
	$(CC) $(VMF_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(UNIT): $(TEST_OBJ) $(STATIC_LIB)
	@mkdir -p $(@D)
	$(CC) $(VMF_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(TEST_LIBS)

# test_main.c runs suite_NAME() of every tests/test_NAME.c
$(BUILD)/tests/%.o: VMF_CPPFLAGS += -DVMF_SUITES='$(foreach t,$(TEST_SRC),X($(t:tests/test_%.c=%)))'
$(BUILD)/tests/test_main.o: $(TEST_SRC)

unit: $(UNIT)
	$(UNIT) $(SUITE)

# The same suites under ASan and UBSan, which end at the first finding.
unit-sanitized:
	$(MAKE) BUILD=$(BUILD)/sanitized unit \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"

format:
	clang-format -i $(FORMATTED)

format-check:
	clang-format --dry-run -Werror $(FORMATTED)

.PHONY: all unit unit-sanitized format format-check
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(TOOLS:%=$(BUILD)/cmd/%.d)
