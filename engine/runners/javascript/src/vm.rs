//! The JavaScript engine: one runtime, its own modules, and the author's.

use std::cell::{OnceCell, RefCell};

use rquickjs::function::Args;
use rquickjs::{
    Array, Context, Ctx, Error, Function, Module, Object, Persistent, Promise, Result, Runtime, Type,
    TypedArray, Value,
};

use crate::map::Map;
use crate::modules::{self, Own};
use crate::thrown::Fault;
use crate::world::types::{About, Event, Failure, Output, Timer};
use crate::{event, output, thrown, world};

/// How deep JavaScript may call: it throws an error before the stack of the component, 1 MiB, is at its end.
const STACK_BYTES: usize = 128 << 10;

/// How many rejected promises are kept at most; the first is what is told.
const MAX_REJECTED: usize = 64;

thread_local! {
    static VM: Vm = Vm::new().expect("memory for a JavaScript engine");
}

/// A promise and why it was rejected.
type Rejection = (Persistent<Value<'static>>, Persistent<Value<'static>>);

thread_local! {
    /// Promises that were rejected while nobody minded.
    static REJECTED: RefCell<Vec<Rejection>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is rejected until somebody minds.
fn track<'js>(ctx: Ctx<'js>, promise: Value<'js>, reason: Value<'js>, is_handled: bool) {
    REJECTED.with_borrow_mut(|rejected| {
        if is_handled {
            rejected.retain(|(known, _)| known.clone().restore(&ctx).is_ok_and(|known| known != promise));
        } else if rejected.len() < MAX_REJECTED {
            rejected.push((Persistent::save(&ctx, promise), Persistent::save(&ctx, reason)));
        }
    });
}

/// The engine and what is loaded in it.
pub struct Vm {
    context: Context,
    serve: Persistent<Function<'static>>,
    fire: Persistent<Function<'static>>,
    upgrade: Persistent<Function<'static>>,
    explain: Persistent<Function<'static>>,
    about: Persistent<Function<'static>>,
    handle: OnceCell<Persistent<Function<'static>>>,
    module: OnceCell<Persistent<Object<'static>>>,
    told: OnceCell<About>,
    map: OnceCell<Map>,
}

/// A plugin's source.
pub struct Source {
    /// Its name, as traces show it.
    pub name: String,
    /// Its text, an ES module.
    pub text: String,
    /// The source map, if the text was made of others.
    pub map: Option<String>,
}

/// Starts the engine, so that what follows finds it ready.
///
/// # Errors
/// None: it is an answer of the same kind as [`load`]'s.
pub fn start() -> std::result::Result<(), Fault> {
    VM.with(|_| Ok(()))
}

/// Handles one event; the first one loads the source, if that has not been done.
///
/// # Errors
/// What the handler throws.
pub fn handle(event: Event) -> std::result::Result<Vec<Output>, Failure> {
    VM.with(|vm| {
        vm.context.with(|ctx| {
            vm.begin(&ctx).map_err(thrown::failure_of_fault)?;
            vm.handle(&ctx, event).map_err(|err| thrown::failure(&ctx, vm, err))
        })
    })
}

/// Handles one timer that has come due; see [`handle`].
///
/// # Errors
/// What the author's function throws, or that there is none.
pub fn on_timer(timer: Timer) -> std::result::Result<Vec<Output>, Failure> {
    VM.with(|vm| {
        vm.context.with(|ctx| {
            vm.begin(&ctx).map_err(thrown::failure_of_fault)?;
            vm.on_timer(&ctx, timer).map_err(|err| thrown::failure(&ctx, vm, err))
        })
    })
}

/// Turns a field of an older version into its present shape; none deletes it. Without a function of the author's it stays.
///
/// # Errors
/// What the author's function throws.
pub fn migrate(version: &str, name: &str, value: Vec<u8>) -> std::result::Result<Option<Vec<u8>>, String> {
    VM.with(|vm| {
        vm.context.with(|ctx| {
            vm.begin(&ctx).map_err(|fault| fault.to_string())?;
            vm.migrate(&ctx, version, name, value).map_err(|err| thrown::told(&ctx, vm, err))
        })
    })
}

/// Loads a source and tells what it says about itself.
///
/// # Errors
/// Why it cannot run, and where.
pub fn load(source: Option<Source>) -> std::result::Result<Option<About>, Fault> {
    VM.with(|vm| vm.context.with(|ctx| vm.load(&ctx, source)))
}

/// What the loaded source says about itself; empty texts if it says nothing.
#[cfg(not(feature = "runner"))]
pub fn about() -> About {
    VM.with(|vm| vm.told.get().cloned()).unwrap_or_else(|| About {
        name: String::new(),
        version: String::new(),
        summary: String::new(),
        subjects: Vec::new(),
        emits: Vec::new(),
    })
}

/// The author's place of a place in the loaded source.
pub fn original(line: u32, column: u32) -> Option<(String, u32, u32)> {
    VM.with(|vm| vm.map.get()?.find(line, column).map(|(file, line, column)| (file.to_owned(), line, column)))
}

impl Vm {
    fn new() -> Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(STACK_BYTES);
        runtime.set_loader(Own, Own);
        runtime.set_host_promise_rejection_tracker(Some(Box::new(track)));
        let context = Context::full(&runtime)?;
        let [serve, fire, upgrade, explain, about] = context.with(|ctx| {
            evaluate_own(&ctx, "wasmill:globals")?;
            let runtime = evaluate_own(&ctx, "wasmill:runtime")?;
            let function =
                |name: &str| Result::Ok(Persistent::save(&ctx, runtime.get::<_, Function<'_>>(name)?));
            Result::Ok([
                function("serve")?,
                function("fire")?,
                function("upgrade")?,
                function("explain")?,
                function("about")?,
            ])
        })?;
        Ok(Self {
            context,
            serve,
            fire,
            upgrade,
            explain,
            about,
            handle: OnceCell::new(),
            module: OnceCell::new(),
            told: OnceCell::new(),
            map: OnceCell::new(),
        })
    }

    fn begin(&self, ctx: &Ctx<'_>) -> std::result::Result<(), Fault> {
        if self.handle.get().is_none() {
            self.load(ctx, world::source())?;
        }
        Ok(())
    }

    fn handle(&self, ctx: &Ctx<'_>, event: Event) -> Result<Vec<Output>> {
        let handle = self.handle.get().expect("a loaded source").clone().restore(ctx)?;
        let answered = self.call(ctx, &self.serve, event::arguments(ctx, handle, event)?, "handle")?;
        output::outputs(ctx, &answered.into_array().ok_or(Error::Unknown)?)
    }

    fn on_timer(&self, ctx: &Ctx<'_>, timer: Timer) -> Result<Vec<Output>> {
        let args = event::timer_arguments(ctx, self.module(ctx)?, timer)?;
        let answered = self.call(ctx, &self.fire, args, "onTimer")?;
        output::outputs(ctx, &answered.into_array().ok_or(Error::Unknown)?)
    }

    fn migrate(&self, ctx: &Ctx<'_>, version: &str, name: &str, value: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let mut args = Args::new(ctx.clone(), 4);
        args.push_arg(self.module(ctx)?)?;
        args.push_arg(version)?;
        args.push_arg(name)?;
        args.push_arg(TypedArray::new(ctx.clone(), value)?)?;
        output::field(ctx, &self.call(ctx, &self.upgrade, args, "migrate")?)
    }

    fn module<'js>(&self, ctx: &Ctx<'js>) -> Result<Object<'js>> {
        self.module.get().expect("a loaded source").clone().restore(ctx)
    }

    /// Calls one of the runtime's functions around one of the author's, and waits for what it promises.
    fn call<'js>(
        &self,
        ctx: &Ctx<'js>,
        function: &Persistent<Function<'static>>,
        args: Args<'js>,
        name: &str,
    ) -> Result<Value<'js>> {
        REJECTED.take();
        let mut answered: Value<'_> = function.clone().restore(ctx)?.call_arg(args)?;
        if let Some(promise) = answered.as_promise() {
            answered = settled(ctx, promise, name)?;
        }
        // What nobody waits for is done before the call ends, not in the next one.
        while ctx.execute_pending_job() {}
        if let Some((_, reason)) = REJECTED.take().into_iter().next() {
            return Err(ctx.throw(reason.restore(ctx)?));
        }
        Ok(answered)
    }

    fn load(&self, ctx: &Ctx<'_>, source: Option<Source>) -> std::result::Result<Option<About>, Fault> {
        let source = source.ok_or_else(Fault::no_source)?;
        self.evaluate(ctx, &source).map_err(|err| thrown::fault(ctx, self, err, &source))
    }

    fn evaluate(&self, ctx: &Ctx<'_>, source: &Source) -> Result<Option<About>> {
        if let Some(map) = &source.map {
            let _ = self.map.set(Map::read(ctx, map)?);
        }
        let (module, promise) =
            Module::declare(ctx.clone(), source.name.as_str(), source.text.as_str())?.eval()?;
        settled::<Value<'_>>(ctx, &promise, "the top level")?;
        let exports = module.namespace()?;
        let handle: Value<'_> = exports.get("handle")?;
        let Some(handle) = handle.as_function() else {
            return Err(no_function(ctx, "handle", &handle));
        };
        for name in ["onTimer", "migrate"] {
            let found: Value<'_> = exports.get(name)?;
            if !(found.is_undefined() || found.is_function()) {
                return Err(no_function(ctx, name, &found));
            }
        }
        let about: Option<Array<'_>> = self.about.clone().restore(ctx)?.call((exports.clone(),))?;
        let about = about.map(|fields| read_about(&fields)).transpose()?;
        let _ = self.module.set(Persistent::save(ctx, exports));
        let _ = self.handle.set(Persistent::save(ctx, handle.clone()));
        if let Some(about) = &about {
            let _ = self.told.set(about.clone());
        }
        Ok(about)
    }

    /// Asks the runtime's own JavaScript what was thrown.
    ///
    /// # Errors
    /// If that throws in turn.
    pub fn explain<'js>(&self, ctx: &Ctx<'js>, value: Value<'js>) -> Result<Array<'js>> {
        self.explain.clone().restore(ctx)?.call((value,))
    }
}

fn evaluate_own<'js>(ctx: &Ctx<'js>, name: &'static str) -> Result<Object<'js>> {
    let (module, promise) = modules::declare_own(ctx, name)?.eval()?;
    promise.finish::<()>()?;
    module.namespace()
}

/// Runs what is queued until a promise is settled.
fn settled<'js, T: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, promise: &Promise<'js>, what: &str) -> Result<T> {
    match promise.finish() {
        Err(Error::WouldBlock) => Err(thrown::refusal(
            ctx,
            &format!("{what} awaits something that nothing in a plugin will ever bring about"),
        )),
        settled => settled,
    }
}

fn no_function(ctx: &Ctx<'_>, name: &str, found: &Value<'_>) -> Error {
    let problem = match found.type_of() {
        Type::Undefined => format!("nothing named `{name}` is exported"),
        Type::Int | Type::Float => format!("the export `{name}` is a number, not a function"),
        other => format!("the export `{name}` is of type {other}, not a function"),
    };
    thrown::refusal(ctx, &format!("{problem}\nhint: write `export function {name}(...) {{ ... }}`"))
}

fn read_about(fields: &Array<'_>) -> Result<About> {
    Ok(About {
        name: fields.get(0)?,
        version: fields.get(1)?,
        summary: fields.get(2)?,
        subjects: fields.get(3)?,
        emits: fields.get(4)?,
    })
}
