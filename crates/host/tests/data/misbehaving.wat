;; A backend that does what the first letter of the cache's name says as soon as that cache is loaded.
;; Any other cache is empty, and takes what is saved without keeping it.
(component
  (import "wasi:io/error@0.2.0" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $io-error-type))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $output (sub resource)))
    (alias outer 1 $io-error-type (type $io-error-type))
    (export "error" (type $error (eq $io-error-type)))
    (type $stream-error (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error-type (eq $stream-error)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8))
        (result (result (error $stream-error-type)))))))
  (alias export $streams "output-stream" (type $output-type))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output-type (type $output-type))
    (export "output-stream" (type $output (eq $output-type)))
    (export "get-stderr" (func (result (own $output))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable-type (type $pollable-type))
    (export "pollable" (type $pollable (eq $pollable-type)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))

  (core module $memory-module
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 4096))
    (func (export "realloc")
      (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (loop $more
          (br_if $fits
            (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
          (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
        unreachable)
      (local.get $at))
    ;; Byte 600 tells it to trap.
    (func (export "free-all") (param i32)
      (if (i32.load8_u (i32.const 600)) (then unreachable))
      (global.set $free (i32.const 4096))))
  (core instance $memory (instantiate $memory-module))
  (alias core export $memory "memory" (core memory $mem))
  (core func $now (canon lower (func $clock "now")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $exit (canon lower (func $exit "exit")))
  (core func $get-stderr (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $mem)))

  (core module $backend-module
    (import "memory" "memory" (memory 1))
    (import "host" "now" (func $now (result i64)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "get-stderr" (func $get-stderr (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (table $table 1 funcref)
    (global $calls (mut i32) (i32.const 0))
    (data (i32.const 512) "first line\n\nsecond line\n\ff")

    ;; An answer of "ok" with nothing in it, at 1024.
    (func $empty (result i32)
      (memory.fill (i32.const 1024) (i32.const 0) (i32.const 128))
      (i32.const 1024))
    ;; The same with one entry, whose key and value are empty and whose expiry is given.
    (func $one-until (param $when i64) (result i32)
      (drop (call $empty))
      (i32.store (i32.const 1032) (i32.const 1056))
      (i32.store (i32.const 1036) (i32.const 1))
      (i32.store8 (i32.const 1072) (i32.const 1))
      (i64.store (i32.const 1080) (local.get $when))
      (i32.const 1024))
    (func $recurse (param $depth i32) (result i32)
      (i32.add (call $recurse (i32.add (local.get $depth) (i32.const 1))) (local.get $depth)))

    (func (export "load") (param $name i32) (param $length i32) (result i32)
      (local $letter i32) (local $n i32)
      (if (local.get $length)
        (then (local.set $letter (i32.load8_u (local.get $name)))))
      (if (i32.eq (local.get $letter) (i32.const 0x74 (; t: trap ;)))
        (then
          (call $write (call $get-stderr) (i32.const 512) (i32.const 24) (i32.const 1024))
          unreachable))
      (if (i32.eq (local.get $letter) (i32.const 0x6c (; l: loop ;)))
        (then (loop $forever (br $forever))))
      (if (i32.eq (local.get $letter) (i32.const 0x73 (; s: sleep for an hour ;)))
        (then (call $block (call $subscribe (i64.const 3600_000_000_000)))))
      (if (i32.eq (local.get $letter) (i32.const 0x72 (; r: recurse ;)))
        (then (drop (call $recurse (i32.const 0)))))
      (if (i32.eq (local.get $letter) (i32.const 0x6d (; m: take memory without end ;)))
        (then
          (loop $more
            (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
          unreachable))
      (if (i32.eq (local.get $letter) (i32.const 0x62 (; b: a bigger table without end ;)))
        (then
          (loop $more
            (br_if $more
              (i32.ge_s (table.grow $table (ref.null func) (i32.const 10000)) (i32.const 0))))
          unreachable))
      (if (i32.eq (local.get $letter) (i32.const 0x63 (; c: create resources without end ;)))
        (then (loop $more (drop (call $subscribe (i64.const 1))) (br $more))))
      (if (i32.eq (local.get $letter) (i32.const 0x77 (; w: write without end ;)))
        (then
          (local.set $n (call $get-stderr))
          (loop $more
            (call $write (local.get $n) (i32.const 0) (i32.const 4096) (i32.const 1024))
            (br $more))))
      (if (i32.eq (local.get $letter) (i32.const 0x78 (; x: exit, as if all were well ;)))
        (then (call $exit (i32.const 0))))
      (if (i32.eq (local.get $letter) (i32.const 0x6b (; k: keep a trap for after the answer ;)))
        (then (i32.store8 (i32.const 600) (i32.const 1))))
      (if (i32.eq (local.get $letter) (i32.const 0x32 (; 2: trap at every second call ;)))
        (then
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          (if (i32.eq (global.get $calls) (i32.const 2)) (then unreachable))))
      (if (i32.eq (local.get $letter) (i32.const 0x64 (; d: an invalid discriminant ;)))
        (then
          (i32.store8 (call $empty) (i32.const 7))
          (return (i32.const 1024))))
      (if (i32.eq (local.get $letter) (i32.const 0x70 (; p: pointers out of bounds ;)))
        (then
          (i32.store offset=8 (call $empty) (i32.const -32))
          (i32.store (i32.const 1036) (i32.const 1000))
          (return (i32.const 1024))))
      (if (i32.eq (local.get $letter) (i32.const 0x75 (; u: "corrupt", with what is no UTF-8 ;)))
        (then
          (i32.store8 (call $empty) (i32.const 1))
          (i32.store8 (i32.const 1032) (i32.const 3))
          (i32.store (i32.const 1040) (i32.const 536))
          (i32.store (i32.const 1044) (i32.const 1))
          (return (i32.const 1024))))
      (if (i32.eq (local.get $letter) (i32.const 0x66 (; f: "no-space" ;)))
        (then
          (i32.store8 (call $empty) (i32.const 1))
          (i32.store8 (i32.const 1032) (i32.const 6))
          (return (i32.const 1024))))
      (if (i32.eq (local.get $letter) (i32.const 0x68 (; h: an entry that lives for an hour ;)))
        (then
          (return (call $one-until (i64.add (call $now) (i64.const 3600_000_000_000))))))
      (if (i32.eq (local.get $letter) (i32.const 0x65 (; e: an entry that lives for an eternity ;)))
        (then (return (call $one-until (i64.const -1)))))
      (call $empty))
    (func (export "save") (param i32 i32 i32 i32) (result i32) (call $empty))
    (func (export "clear") (param i32 i32) (result i32) (call $empty)))
  (core instance $backend (instantiate $backend-module
    (with "memory" (instance $memory))
    (with "host" (instance
      (export "now" (func $now))
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "exit" (func $exit))
      (export "get-stderr" (func $get-stderr))
      (export "write" (func $write))))))
  (alias core export $memory "realloc" (core func $realloc))
  (alias core export $memory "free-all" (core func $free-all))

  (type $entry-record (record
    (field "key" string) (field "value" (list u8)) (field "ttl" (option u64))))
  (export $entry "entry" (type $entry-record))
  (type $live-entry-record (record
    (field "key" string) (field "value" (list u8)) (field "expires-at" (option u64))))
  (export $live-entry "live-entry" (type $live-entry-record))
  (type $contents-record (record (field "entries" (list $live-entry)) (field "lost" u64)))
  (export $contents "contents" (type $contents-record))
  (type $error-variant (variant
    (case "access-denied") (case "invalid-name" string) (case "invalid-argument" string)
    (case "corrupt" string) (case "unsupported-version" u32) (case "too-large" u64)
    (case "no-space") (case "unavailable" string) (case "other" string)))
  (export $error "error" (type $error-variant))
  (func $load (param "cache" string) (result (result $contents (error $error)))
    (canon lift (core func $backend "load")
      (memory $mem) (realloc (core func $realloc)) (post-return (core func $free-all))))
  (func $save (param "cache" string) (param "entries" (list $entry)) (result (result (error $error)))
    (canon lift (core func $backend "save")
      (memory $mem) (realloc (core func $realloc)) (post-return (core func $free-all))))
  (func $clear (param "cache" string) (result (result (error $error)))
    (canon lift (core func $backend "clear")
      (memory $mem) (realloc (core func $realloc)) (post-return (core func $free-all))))
  (instance $exports
    (export "load" (func $load)) (export "save" (func $save)) (export "clear" (func $clear)))
  (export "larder:cache/cache-backend@0.1.0" (instance $exports)))
