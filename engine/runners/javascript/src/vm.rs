//! The JavaScript engine: one runtime, its own modules, and the author's.

use std::cell::{OnceCell, RefCell};

use rquickjs::function::Args;
use rquickjs::{
    Array, Context, Ctx, Error, Function, Module, Object, Persistent, Promise, Result, Runtime, Type, Value,
};

use crate::map::Map;
use crate::modules::{self, Own};
use crate::thrown::Fault;
use crate::world::types::{About, Event, Failure, Output};
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
    explain: Persistent<Function<'static>>,
    about: Persistent<Function<'static>>,
    handle: OnceCell<Persistent<Function<'static>>>,
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
            if vm.handle.get().is_none() {
                vm.load(&ctx, world::source()).map_err(thrown::failure_of_fault)?;
            }
            vm.call(&ctx, event).map_err(|err| thrown::failure(&ctx, vm, err))
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
        let (serve, explain, about) = context.with(|ctx| {
            evaluate_own(&ctx, "wasmill:globals")?;
            let runtime = evaluate_own(&ctx, "wasmill:runtime")?;
            let function =
                |name: &str| Result::Ok(Persistent::save(&ctx, runtime.get::<_, Function<'_>>(name)?));
            Result::Ok((function("serve")?, function("explain")?, function("about")?))
        })?;
        Ok(Self {
            context,
            serve,
            explain,
            about,
            handle: OnceCell::new(),
            told: OnceCell::new(),
            map: OnceCell::new(),
        })
    }

    fn call(&self, ctx: &Ctx<'_>, event: Event) -> Result<Vec<Output>> {
        let handle = self.handle.get().expect("a loaded source").clone().restore(ctx)?;
        let args: Args<'_> = event::arguments(ctx, handle, event)?;
        REJECTED.take();
        let answered: Value<'_> = self.serve.clone().restore(ctx)?.call_arg(args)?;
        let list: Array<'_> = match answered.as_promise() {
            Some(promise) => settled(ctx, promise, "handle")?,
            None => answered.into_array().ok_or(Error::Unknown)?,
        };
        // What nobody waits for is done before the call ends, not in the next one.
        while ctx.execute_pending_job() {}
        if let Some((_, reason)) = REJECTED.take().into_iter().next() {
            return Err(ctx.throw(reason.restore(ctx)?));
        }
        output::outputs(ctx, &list)
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
            return Err(no_handle(ctx, &handle));
        };
        let about: Option<Array<'_>> = self.about.clone().restore(ctx)?.call((exports.clone(),))?;
        let about = about.map(|fields| read_about(&fields)).transpose()?;
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

fn no_handle(ctx: &Ctx<'_>, found: &Value<'_>) -> Error {
    let problem = match found.type_of() {
        Type::Undefined => "nothing named `handle` is exported".to_owned(),
        Type::Int | Type::Float => "the export `handle` is a number, not a function".to_owned(),
        other => format!("the export `handle` is of type {other}, not a function"),
    };
    thrown::refusal(ctx, &format!("{problem}\nhint: write `export function handle(event) {{ ... }}`"))
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
