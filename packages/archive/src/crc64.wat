;; CRC-64 with the ISO 3309 polynomial, eight bytes at a time. The state is at 0, the bytes are from 8 on.
;; Why it needs no table, see crc64.ts.
(module
  (memory (export "memory") 2)
  (func (export "update") (param $length i32)
    (local $at i32)
    (local $end i32)
    (local $state i64)
    (local.set $state (i64.load (i32.const 0)))
    (local.set $at (i32.const 8))
    (local.set $end (i32.add (i32.const 8) (i32.and (local.get $length) (i32.const -8))))
    (block $words
      (loop $word
        (br_if $words (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $state (i64.xor (local.get $state) (i64.load align=1 (local.get $at))))
        ;; What the three shifts below let fall, at most four bits, comes back at the top.
        (local.set $state
          (i64.xor
            (local.get $state)
            (i64.xor
              (i64.xor
                (i64.shl (local.get $state) (i64.const 60))
                (i64.shl (local.get $state) (i64.const 61)))
              (i64.shl (local.get $state) (i64.const 63)))))
        (local.set $state
          (i64.xor
            (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 1)))
            (i64.xor
              (i64.shr_u (local.get $state) (i64.const 3))
              (i64.shr_u (local.get $state) (i64.const 4)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $word)))
    (local.set $end (i32.add (i32.const 8) (local.get $length)))
    (block $bytes
      (loop $byte
        (br_if $bytes (i32.ge_u (local.get $at) (local.get $end)))
        (call $step (i64.xor (local.get $state) (i64.load8_u (local.get $at))))
        (local.set $state)
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $byte)))
    (i64.store (i32.const 0) (local.get $state)))
  (func $step (param $state i64) (result i64)
    (local $top i64)
    (local.set $top (i64.shl (local.get $state) (i64.const 56)))
    (i64.xor
      (i64.xor (i64.shr_u (local.get $state) (i64.const 8)) (local.get $top))
      (i64.xor
        (i64.xor (i64.shr_u (local.get $top) (i64.const 1)) (i64.shr_u (local.get $top) (i64.const 3)))
        (i64.shr_u (local.get $top) (i64.const 4))))))
