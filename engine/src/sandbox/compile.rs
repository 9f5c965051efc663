//! Compiling in a child process, and the cache of what came out.
//!
//! Compilers are not covered by the runtime's promise to withstand hostile input, so this one runs where it can be bounded
//! in time and memory and be killed: in a process of its own, never on the engine's threads.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{LoadError, encode, machine};
use crate::digest::Digest;
use crate::limits::{COMPILE_MEMORY_MIB, COMPILE_TIMEOUT_S, MIB};

/// The hidden subcommand under which the binary is its own compiler.
pub const CHILD_COMMAND: &str = "compile-component";
/// How much compiled code the cache keeps, in bytes; the least recently written goes first.
const CACHE_BYTES: u64 = 2 * 1_024 * MIB as u64;
/// The most text taken from the compiler's standard error, in bytes.
const MAX_COMPLAINT_BYTES: u64 = 16 * 1_024;
/// Compilers at once: each may use all processor cores for a while, and the events that flow need them too.
const COMPILERS: usize = 1;
/// How much the compiler yields to everything else on the machine.
const CHILD_NICENESS: i32 = 10;
/// The exit status of a compiler that finds the component at fault, and of one that cannot make a component of a module.
const INVALID: u8 = 1;
const CORE_MODULE: u8 = 3;

/// The file of the program that runs, to be started again as its own compiler. On Linux that is the very file that was
/// started, even if an upgrade has put another in its place: the other's code would not fit this engine.
///
/// # Errors
/// If the system does not tell.
pub fn this_program() -> std::io::Result<PathBuf> {
    let started = Path::new("/proc/self/exe");
    if started.exists() { Ok(started.to_owned()) } else { std::env::current_exe() }
}

/// Compiles components and remembers them.
pub(super) struct Compiler {
    program: PathBuf,
    cache: PathBuf,
    compatibility: String,
    turn: Semaphore,
}

impl Compiler {
    pub fn new(program: PathBuf, cache: PathBuf, engine: &Engine) -> Result<Self, LoadError> {
        private_dir(&cache)?;
        let compatibility = format!("{}{}", machine::compatibility_key(engine), encode::version());
        Ok(Self { program, cache, compatibility, turn: Semaphore::new(COMPILERS) })
    }

    /// The compiled component: from the cache, else made now.
    pub async fn component(
        &self,
        engine: &Engine,
        digest: Digest,
        bytes: &[u8],
    ) -> Result<Component, LoadError> {
        check_header(bytes)?;
        let path = self
            .cache
            .join(format!("{}.cwasm", Digest::of(format!("{digest}{}", self.compatibility).as_bytes())));
        if let Some(Ok(component)) = cached(engine, &path).await {
            return Ok(component);
        }
        let _turn =
            self.turn.acquire().await.map_err(|_| LoadError::Compiler("it is shutting down".into()))?;
        // Another plugin may have had the same component compiled meanwhile.
        if let Some(Ok(component)) = cached(engine, &path).await {
            return Ok(component);
        }
        let code = self.run_child(bytes).await?;
        store(&self.cache, &path, &code)?;
        match cached(engine, &path).await {
            Some(Ok(component)) => Ok(component),
            // The compiler knows nothing of the pool that instances come from: what does not fit there shows only now.
            Some(Err(err)) => Err(LoadError::Pool(format!("{err:#}"))),
            None => Err(LoadError::Compiler("the compiled code was gone as soon as it was written".into())),
        }
    }

    async fn run_child(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let failed = |what: &str, err: std::io::Error| LoadError::Compiler(format!("{what}: {err}"));
        let mut child = Command::new(&self.program)
            .arg(CHILD_COMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|err| failed(&format!("{} did not start", self.program.display()), err))?;
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(LoadError::Compiler("its pipes are missing".into()));
        };
        let feed = async move {
            // A compiler that ends early closes the pipe; its exit status tells why.
            let _closed = stdin.write_all(bytes).await;
        };
        let mut code = Vec::new();
        let mut complaint = String::new();
        let mut stderr = stderr.take(MAX_COMPLAINT_BYTES);
        let work = async {
            let (_, code, complaint) =
                tokio::join!(feed, stdout.read_to_end(&mut code), stderr.read_to_string(&mut complaint));
            code.and(complaint).map_err(|err| failed("its answer was not read", err))?;
            child.wait().await.map_err(|err| failed("its end was not seen", err))
        };
        let status = tokio::time::timeout(Duration::from_secs(COMPILE_TIMEOUT_S), work)
            .await
            .map_err(|_| LoadError::CompileTime { limit_s: COMPILE_TIMEOUT_S })??;
        match status.code().map(u8::try_from) {
            Some(Ok(0)) => Ok(code),
            Some(Ok(INVALID)) => Err(invalid(complaint.trim())),
            Some(Ok(CORE_MODULE)) => Err(LoadError::CoreModule(complaint.trim().to_owned())),
            _ => Err(LoadError::CompileCrash {
                status: status.to_string(),
                limit_mib: COMPILE_MEMORY_MIB,
                complaint: complaint.lines().last().unwrap_or_default().to_owned(),
            }),
        }
    }
}

/// What a complaint of the parser means.
pub(super) fn invalid(complaint: &str) -> LoadError {
    // The parser has no types for these either: a section that reaches beyond the file is how most cut files look.
    let cut_off = ["unexpected end", "is out of bounds (bound", "code section is absent"]
        .iter()
        .any(|sign| complaint.contains(sign));
    if cut_off { LoadError::Truncated } else { LoadError::Invalid(complaint.to_owned()) }
}

/// The eight bytes that tell components and modules from anything else.
pub(super) fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0] | [0, b'a', b's', b'm', 1, 0, 0, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', ..]) => {
            Err(LoadError::Invalid("it has an unknown version of the binary format".into()))
        }
        None if bytes.is_empty() => Err(LoadError::Empty),
        None if [b"\0asm\x0d\0\x01\0", b"\0asm\x01\0\0\0"].iter().any(|whole| whole.starts_with(bytes)) => {
            Err(LoadError::Truncated)
        }
        _ => Err(LoadError::NotWasm),
    }
}

/// The child's whole life: a component or a core module from standard input, code to standard output, what is wrong to
/// standard error.
#[must_use]
pub fn child_main() -> std::process::ExitCode {
    let (complaint, status) = match compile_stdin() {
        Ok(()) => return std::process::ExitCode::SUCCESS,
        Err(LoadError::CoreModule(complaint)) => (complaint, CORE_MODULE),
        Err(LoadError::Invalid(complaint)) => (complaint, INVALID),
        // The engine finds out what it is by this text, as for any other complaint of the parser.
        Err(LoadError::Truncated) => ("unexpected end".to_owned(), INVALID),
        Err(other) => (other.to_string(), INVALID),
    };
    // Nobody is left to hear it if this fails.
    let _lost = writeln!(std::io::stderr(), "{complaint}");
    std::process::ExitCode::from(status)
}

fn compile_stdin() -> Result<(), LoadError> {
    let failed = |err: std::io::Error| LoadError::Compiler(err.to_string());
    let invalid = |err: wasmtime::Error| LoadError::Invalid(format!("{err:#}"));
    let memory = COMPILE_MEMORY_MIB * MIB as u64;
    rlimit::setrlimit(rlimit::Resource::AS, memory, memory).map_err(failed)?;
    rlimit::setrlimit(rlimit::Resource::CPU, COMPILE_TIMEOUT_S * 2, COMPILE_TIMEOUT_S * 2).map_err(failed)?;
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0).map_err(failed)?;
    // A machine that does not let us be nice compiles all the same.
    let _as_before = rustix::process::nice(CHILD_NICENESS);
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
    let component = encode::componentize(&bytes)?;
    let engine = machine::compiling_engine().map_err(invalid)?;
    let code = engine.precompile_component(&component).map_err(invalid)?;
    std::io::stdout().lock().write_all(&code).map_err(failed)
}

/// Makes a directory that nobody else can write to, or checks that it is one.
fn private_dir(dir: &Path) -> Result<(), LoadError> {
    let fault = |why: String| LoadError::Cache { dir: dir.to_owned(), why };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|err| fault(err.to_string()))?;
    let meta = std::fs::metadata(dir).map_err(|err| fault(err.to_string()))?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(fault("it belongs to another user, who could put code into it".into()));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(fault("others may write to it, and so could put code into it (chmod go-w)".into()));
    }
    Ok(())
}

/// Reads an entry where it may take its time: machine code is ten times the size of its component.
async fn cached(engine: &Engine, path: &Path) -> Option<wasmtime::Result<Component>> {
    let (engine, path) = (engine.clone(), path.to_owned());
    tokio::task::spawn_blocking(move || read_cached(&engine, &path)).await.ok().flatten()
}

/// Beside each entry stands its digest: a torn write or a decayed disk must not become machine code.
fn digest_path(path: &Path) -> PathBuf {
    path.with_extension("sha256")
}

#[allow(unsafe_code, reason = "the runtime cannot check machine code; see the SAFETY comment")]
fn read_cached(engine: &Engine, path: &Path) -> Option<wasmtime::Result<Component>> {
    let wanted = std::fs::read_to_string(digest_path(path)).ok()?;
    if Digest::of(&std::fs::read(path).ok()?).to_string() != wanted {
        return None;
    }
    // Mapped rather than read: an interpreter has a hundred megabytes of machine code, of which a plugin runs a few.
    // SAFETY: only this engine writes to the directory (`private_dir` checks owner and mode), and renames whole files into
    // place; what it writes comes from its own compiler, and the digest shows that it is still what was written.
    Some(unsafe { Component::deserialize_file(engine, path) })
}

fn store(dir: &Path, path: &Path, code: &[u8]) -> Result<(), LoadError> {
    let fault = |err: std::io::Error| LoadError::Cache { dir: dir.to_owned(), why: err.to_string() };
    make_room(dir, code.len() as u64).map_err(fault)?;
    for (target, bytes) in
        [(path.to_owned(), code), (digest_path(path), Digest::of(code).to_string().as_bytes())]
    {
        let draft = dir.join(format!(".{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::write(&draft, bytes).and_then(|()| std::fs::rename(&draft, target)).map_err(fault)?;
    }
    Ok(())
}

fn make_room(dir: &Path, wanted: u64) -> std::io::Result<()> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        entries.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), entry.path()));
    }
    let mut total: u64 = wanted + entries.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
    entries.sort();
    for (_, bytes, path) in entries {
        if total <= CACHE_BYTES {
            break;
        }
        std::fs::remove_file(path)?;
        total -= bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_what_a_file_is() {
        for (bytes, wanted) in [
            (&b""[..], "empty"),
            (b"\0as", "ends too early"),
            (b"hello, world", "no WebAssembly"),
            (b"\0asm\x09\0\x01\0", "unknown version"),
        ] {
            let err = check_header(bytes).unwrap_err().to_string();
            assert!(err.contains(wanted), "{bytes:?}: {err}");
        }
        assert!(check_header(b"\0asm\x0d\0\x01\0").is_ok());
        assert!(check_header(b"\0asm\x01\0\0\0").is_ok(), "a core module");
    }

    #[test]
    fn a_directory_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        private_dir(&cache).unwrap();
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(private_dir(&cache).unwrap_err().to_string().contains("others may write"));
    }
}
