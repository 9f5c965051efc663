;; The component around a core module `$guest`, which stands where the line GUEST is. The module exports `memory`,
;; `realloc` and `handle`; this frame gives `handle` the type that the contract wants.
(component
  (component $plugin
    ;; GUEST
    (core instance $guest (instantiate $guest))

    (type $headers (list (tuple string string)))
    (type $event-shape (record
      (field "id" string)
      (field "source" string)
      (field "type" string)
      (field "subject" string)
      (field "time" u64)
      (field "key" (option string))
      (field "headers" $headers)
      (field "data" (list u8))
      (field "attempt" u32)
      (field "reply-to" (option string))))
    (type $output-shape (record
      (field "subject" string)
      (field "type" (option string))
      (field "headers" $headers)
      (field "data" (list u8))))
    (type $retry-shape (record (field "after-ms" (option u64)) (field "reason" string)))

    (type $exception-shape (record (field "message" string) (field "trace" string)))

    ;; A type that an exported function uses must have an exported name.
    (export $event "event" (type $event-shape))
    (export $output "output" (type $output-shape))
    (export $retry "retry" (type $retry-shape))
    (export $exception "exception" (type $exception-shape))
    (type $failure-shape (variant
      (case "retry" $retry)
      (case "reject" string)
      (case "exception" $exception)))
    (export $failure "failure" (type $failure-shape))

    (func $handle (param "event" $event) (result (result (list $output) (error $failure)))
      (canon lift
        (core func $guest "handle")
        (memory (core memory $guest "memory"))
        (realloc (core func $guest "realloc"))))
    (export "handle" (func $handle)))
  (instance $handler (instantiate $plugin))
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
