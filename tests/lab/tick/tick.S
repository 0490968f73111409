# tick.S: a guest that fits in the boot sector (440 bytes, so that a partition
# table still has its place). Several times a second it prints
#	tick boot=XXXXXXXX n=N
# on COM1 and writes the same line to sector 64 + N % 1024 of its disk.
# boot is taken from the time stamp counter at start; boot and n live in memory
# only. A guest that ran on keeps boot and counts n on; one that was started
# anew shows another boot and n=1. It knows no ACPI: a shutdown request never
# ends it.

	.code16
	.globl	_start

	.set	COM1, 0x3f8
	.set	LINE, 0x8000		# where the line is built, one sector

_start:
	ljmp	$0, $1f			# some BIOSes come as 07c0:0000
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	movb	%dl, drive

	movw	$port_setup, %si	# 115200 baud, 8N1, no interrupts
	movw	$5, %cx
1:	lodsw				# al: register, ah: value
	movzbw	%al, %dx
	addw	$COM1, %dx
	movb	%ah, %al
	outb	%al, %dx
	loop	1b

	rdtsc
	xorl	%edx, %eax
	imull	$0x9e3779b1, %eax, %eax	# spread the low bits
	movl	%eax, boot

again:
	incl	n
	movw	$LINE, %di
	pushw	%di
	movw	$512, %cx
	movb	$' ', %al
	rep stosb
	popw	%di

	movw	$tick_text, %si
	call	append
	movl	boot, %ebx
	movw	$8, %cx
1:	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	cmpb	$10, %al		# the classic nibble to hex digit
	sbbb	$0x69, %al
	das
	orb	$0x20, %al		# lower case; digits have that bit
	stosb
	loop	1b

	movw	$n_text, %si
	call	append
	movl	n, %eax
	movl	$10, %ebx
	xorw	%cx, %cx
1:	xorl	%edx, %edx
	divl	%ebx
	pushw	%dx
	incw	%cx
	testl	%eax, %eax
	jnz	1b
1:	popw	%ax
	addb	$'0', %al
	stosb
	loop	1b
	movb	$'\n', %al
	stosb

	movw	$LINE, %si		# to the console
1:	movw	$COM1 + 5, %dx
2:	inb	%dx, %al
	testb	$0x20, %al		# transmitter ready
	jz	2b
	lodsb
	movw	$COM1, %dx
	outb	%al, %dx
	cmpb	$'\n', %al
	jne	1b

	movl	n, %eax			# to the disk
	andl	$1023, %eax
	addl	$64, %eax
	movl	%eax, lba
	movw	$packet, %si
	movb	drive, %dl
	movb	$0x43, %ah		# extended write
	movb	$0, %al
	int	$0x13

	movl	0x46c, %ebx		# four ticks of the BIOS clock, 55 ms each
	addl	$4, %ebx
1:	sti
	hlt
	cmpl	%ebx, 0x46c
	jb	1b
	jmp	again

# append the text at si
1:	stosb
append:	lodsb
	testb	%al, %al
	jnz	1b
	ret

port_setup:
	.byte	1, 0,  3, 0x80,  0, 1,  1, 0,  3, 3
tick_text:
	.asciz	"tick boot="
n_text:	.asciz	" n="
boot:	.long	0
n:	.long	0
drive:	.byte	0
packet:	.byte	16, 0			# extended disk packet
	.word	1, LINE, 0
lba:	.long	0, 0
