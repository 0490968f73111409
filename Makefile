# vmferry: GNU make.  `make help` lists the targets.
VERSION = 0.1.0
SOVERSION = 0

# The one list of tools: builds, tests, manuals and installs derive from it.
TOOLS = vmf-dump vmf-restore vmf-pack vmf-unpack vmf-verify vmf-info \
	vmf-send vmf-recv vmf-define vmf-check vmf-inspect vmf-move

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc

PACKAGES = libvirt libxml-2.0 libarchive libzstd libcrypto libssh2 \
	blkid fdisk libnbd libxxhash jansson
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

# Only vmf-inspect needs libguestfs, so what does is not in the library.
INSPECT_SRC := $(wildcard lib/inspect*.c)
INSPECT_LIBS = -lguestfs
LIB_SRC := $(filter-out $(INSPECT_SRC),$(wildcard lib/*.c))
CLI_SRC := $(filter-out cmd/vmf-%,$(wildcard cmd/*.c))
TEST_SRC := $(filter-out tests/test_main.c,$(wildcard tests/test_*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
INSPECT_OBJ := $(INSPECT_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
TEST_OBJ := $(TEST_SRC:%.c=$(BUILD)/%.o) $(BUILD)/tests/test_main.o
TOOL_BIN := $(TOOLS:%=$(BUILD)/bin/%)
STATIC_LIB = $(BUILD)/libvmferry.a
SHARED_LIB = $(BUILD)/libvmferry.so.$(SOVERSION)
UNIT = $(BUILD)/tests/unit

FORMATTED = $(wildcard lib/*.[ch] cmd/*.[ch] include/vmferry/*.h tests/*.[ch] \
	contrib/fuzz/*.[ch])

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

$(BUILD)/bin/vmf-inspect: $(INSPECT_OBJ)
$(BUILD)/bin/vmf-inspect: PKG_LIBS += $(INSPECT_LIBS)

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

# Each fuzz target for FUZZ_SECONDS (15), under ASan and UBSan, by clang.
FUZZ = $(BUILD)/fuzz
FUZZ_BIN := $(patsubst contrib/fuzz/%.c,$(FUZZ)/%,$(wildcard contrib/fuzz/*.c))
FUZZ_CFLAGS = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer-no-link,address,undefined

fuzz: deps
	$(MAKE) fuzz-build
	contrib/fuzz/run $(FUZZ)

fuzz-build:
	$(MAKE) BUILD=$(FUZZ) CC=clang CFLAGS="$(FUZZ_CFLAGS)" $(FUZZ)/libvmferry.a
	$(MAKE) $(FUZZ_BIN)

$(FUZZ)/fuzz_%: contrib/fuzz/fuzz_%.c contrib/fuzz/fuzz.h $(wildcard $(FUZZ)/libvmferry.a)
	clang -std=c11 $(VMF_CPPFLAGS) $(WARNINGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer \
	    -pthread -o $@ $< $(FUZZ)/libvmferry.a $(PKG_LIBS)

help:
	@echo 'make              build tools and library into $(BUILD)/'
	@echo 'make deps         install the Debian packages all of this needs (root)'
	@echo 'make demo         a guest moved between two hosts of a lab (root)'
	@echo 'make check        all tests; without root, those that need none'
	@echo 'make check-fast   unit tests and short scenarios, under a minute'
	@echo 'make unit         unit tests alone; SUITE="codec object" for some'
	@echo 'make bench        speed beside what people use instead'
	@echo 'make fuzz         readers of hostile files under a fuzzer; FUZZ_SECONDS=15'
	@echo 'make lint         formatting, manuals, shell scripts'
	@echo 'make install      below DESTDIR and PREFIX ($(PREFIX))'

deps:
	contrib/deps

# What these need may be missing when make starts, so they start it again.
demo: deps
	$(MAKE) all
	contrib/demo

check: deps
	$(MAKE) all $(UNIT)
	tests/check

check-fast: all $(UNIT)
	tests/check fast

bench: deps
	$(MAKE) all
	tests/bench

format:
	clang-format -i $(FORMATTED)

format-check:
	clang-format --dry-run -Werror $(FORMATTED)

lint: format-check
	mandoc -T lint -W warning man/*.[1-8]
	contrib/lint-sh

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
	    $(DESTDIR)$(INCLUDEDIR)/vmferry $(DESTDIR)$(MANDIR)/man1 \
	    $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 \
	    $(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(TOOL_BIN) $(DESTDIR)$(BINDIR)
	install -m 644 $(STATIC_LIB) $(DESTDIR)$(LIBDIR)
	install -m 755 $(SHARED_LIB) $(DESTDIR)$(LIBDIR)
	ln -sf libvmferry.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libvmferry.so
	install -m 644 include/vmferry/*.h $(DESTDIR)$(INCLUDEDIR)/vmferry
	install -m 644 man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 man/*.5 $(DESTDIR)$(MANDIR)/man5
	install -m 644 man/*.7 $(DESTDIR)$(MANDIR)/man7
	install -m 755 contrib/hooks/vmferry \
	    $(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d/vmferry
	for t in $(TOOLS); do install -m 644 contrib/completion/vmferry.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$t; done
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    contrib/vmferry.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/vmferry.pc

clean:
	rm -rf $(BUILD)

.PHONY: all unit unit-sanitized fuzz fuzz-build help deps demo check check-fast bench format format-check \
	lint install clean
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(INSPECT_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(TOOLS:%=$(BUILD)/cmd/%.d)
