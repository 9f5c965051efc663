;; No component at all: what a compiler makes that was told the wrong target.
(module (func (export "handle")))
