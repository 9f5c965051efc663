;; Wants a host that is not there.
(component
  (import "acme:database/query@1.0.0" (instance (export "get" (func (param "name" string) (result u32)))))
  (instance $handler)
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
