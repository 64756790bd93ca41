//! The SFTP subsystem of a simulated host (SFTP version 3).
//!
//! Owns files and directories under the root prefix: `/` is the prefix, a relative path starts at the user's home.
//! Ignores attributes that require root. Called by [`ssh_server`](super::ssh_server).

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode,
};
use russh_sftp::server::{Handler, StatusReply};
use tokio::io::{AsyncRead, AsyncWrite};

use super::disk::home;
use super::options::Attack;

/// Serves one session until the client ends it.
pub(super) async fn serve<S>(mut stream: S, root: PathBuf, user: String, attack: Option<Attack>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let home = home(&root, &user);
    let home = home
        .strip_prefix(&root)
        .map(|path| Path::new("/").join(path))
        .unwrap_or(home);
    let files = Files {
        root,
        home,
        open: HashMap::new(),
        next: 0,
        attack,
    };
    // The library serves in a separate task; the end of this pipe signals its end.
    let (mut ours, theirs) = tokio::io::duplex(256 * 1024);
    russh_sftp::server::run(theirs, files).await;
    // A broken connection ends both directions.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut ours).await;
}

struct Files {
    root: PathBuf,
    home: PathBuf,
    open: HashMap<String, Open>,
    next: u64,
    attack: Option<Attack>,
}

enum Open {
    File(File),
    /// A file that does not end.
    Endless,
    /// The unread entries of a directory.
    Directory(Vec<Entry>),
}

impl Files {
    /// Returns a client's path as an absolute one, without `.` and `..`, so that it cannot leave the root.
    fn absolute(&self, path: &str) -> PathBuf {
        let mut absolute = PathBuf::from("/");
        for part in self.home.join(path).components() {
            match part {
                Component::Normal(name) => absolute.push(name),
                Component::ParentDir => {
                    absolute.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        absolute
    }

    /// Returns the location of that path on this machine.
    fn real(&self, path: &str) -> PathBuf {
        let absolute = self.absolute(path);
        self.root
            .join(absolute.strip_prefix("/").unwrap_or(&absolute))
    }

    /// Returns the next part of a hostile host's endless or empty listing; `None` for any other host.
    fn hostile_names(&mut self) -> Option<Vec<Entry>> {
        let file = FileAttributes::default();
        let entries = match self.attack? {
            Attack::EmptyListing => Vec::new(),
            Attack::EndlessListing => {
                self.next += 100;
                let names = (self.next..).take(100);
                names
                    .map(|name| Entry::new(name.to_string(), file.clone()))
                    .collect()
            }
            Attack::Escapes | Attack::DeepTree | Attack::EndlessFile | Attack::OpenChannels(_) => {
                return None;
            }
        };
        Some(entries)
    }

    /// Returns a hostile host's attributes of a path; `None` for any other host.
    fn hostile_attributes(&self, id: u32, path: &str) -> Option<Result<Attrs, StatusReply>> {
        const DIRECTORY: u32 = 0o40_755;
        const FILE: u32 = 0o100_644;
        let mode = match self.attack? {
            Attack::EndlessFile => FILE,
            Attack::DeepTree | Attack::EmptyListing | Attack::EndlessListing => DIRECTORY,
            Attack::Escapes if path.ends_with("listed") => DIRECTORY,
            Attack::Escapes => {
                let text = ESCAPES.repeat(1000);
                return Some(Err(StatusCode::Failure.with_message(text)));
            }
            Attack::OpenChannels(_) => return None,
        };
        let attrs = FileAttributes {
            size: Some(5),
            permissions: Some(mode),
            ..FileAttributes::default()
        };
        Some(Ok(Attrs { id, attrs }))
    }

    fn keep(&mut self, id: u32, open: Open) -> Handle {
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    fn file(&self, handle: &str) -> Result<&File, StatusReply> {
        match self.open.get(handle) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(StatusCode::Failure.with_message("no such handle")),
        }
    }
}

/// Terminal control characters, of C0 and C1, and one that reverses the text after it.
const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}x";

/// Returns the protocol's status for an error of the file system, with its text.
fn failed(error: io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en".to_owned(),
    }
}

fn attributes(id: u32, metadata: io::Result<Metadata>) -> Result<Attrs, StatusReply> {
    let attrs = FileAttributes::from(&metadata.map_err(failed)?);
    Ok(Attrs { id, attrs })
}

fn set(path: &Path, attrs: &FileAttributes) -> io::Result<()> {
    if let Some(mode) = attrs.permissions {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(size) = attrs.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    Ok(())
}

impl Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let path = self.absolute(&path).to_string_lossy().into_owned();
        Ok(Name {
            id,
            files: vec![Entry::dummy(path)],
        })
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        attrs: FileAttributes,
    ) -> Result<Handle, Self::Error> {
        if self.attack == Some(Attack::EndlessFile) {
            return Ok(self.keep(id, Open::Endless));
        }
        let mut options = OpenOptions::from(flags);
        if let Some(mode) = attrs.permissions {
            options.mode(mode & 0o7777);
        }
        let file = options.open(self.real(&filename)).map_err(failed)?;
        Ok(self.keep(id, Open::File(file)))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        match self.open.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(StatusCode::Failure.with_message("no such handle")),
        }
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, Self::Error> {
        // OpenSSH's server returns at most 256 KiB at once.
        let mut data = vec![0; len.min(256 * 1024) as usize];
        if let Some(Open::Endless) = self.open.get(&handle) {
            return Ok(Data { id, data });
        }
        let read = self
            .file(&handle)?
            .read_at(&mut data, offset)
            .map_err(failed)?;
        if read == 0 && len > 0 {
            return Err(StatusCode::Eof.into());
        }
        data.truncate(read);
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, Self::Error> {
        self.file(&handle)?
            .write_all_at(&data, offset)
            .map_err(failed)?;
        Ok(done(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        match self.hostile_attributes(id, &path) {
            Some(attributes) => attributes,
            None => attributes(id, fs::metadata(self.real(&path))),
        }
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        match self.hostile_attributes(id, &path) {
            Some(attributes) => attributes,
            None => attributes(id, fs::symlink_metadata(self.real(&path))),
        }
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, Self::Error> {
        attributes(id, self.file(&handle)?.metadata())
    }

    async fn setstat(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        set(&self.real(&path), &attrs).map_err(failed)?;
        Ok(done(id))
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        let file = self.file(&handle)?;
        if let Some(mode) = attrs.permissions {
            file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
                .map_err(failed)?;
        }
        if let Some(size) = attrs.size {
            file.set_len(size).map_err(failed)?;
        }
        Ok(done(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        let mut entries = Vec::new();
        if let Some(attack) = self.attack {
            let names = match attack {
                Attack::DeepTree => (0..50_000).map(|n| format!("{n:0>20}")).collect(),
                Attack::Escapes => vec![ESCAPES.to_owned()],
                _ => Vec::new(),
            };
            let attributes = FileAttributes::default();
            let listed = |name| Entry::new(name, attributes.clone());
            entries.extend(names.into_iter().map(listed));
            return Ok(self.keep(id, Open::Directory(entries)));
        }
        for entry in fs::read_dir(self.real(&path)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry::new(name, FileAttributes::from(&metadata)));
        }
        Ok(self.keep(id, Open::Directory(entries)))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, Self::Error> {
        if let Some(files) = self.hostile_names() {
            return Ok(Name { id, files });
        }
        match self.open.get_mut(&handle) {
            Some(Open::Directory(entries)) if entries.is_empty() => Err(StatusCode::Eof.into()),
            Some(Open::Directory(entries)) => {
                let some = entries.len().min(100);
                Ok(Name {
                    id,
                    files: entries.drain(..some).collect(),
                })
            }
            _ => Err(StatusCode::Failure.with_message("no such handle")),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, Self::Error> {
        fs::remove_file(self.real(&filename)).map_err(failed)?;
        Ok(done(id))
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        let path = self.real(&path);
        fs::create_dir(&path)
            .and_then(|()| set(&path, &attrs))
            .map_err(failed)?;
        Ok(done(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        fs::remove_dir(self.real(&path)).map_err(failed)?;
        Ok(done(id))
    }

    async fn rename(
        &mut self,
        id: u32,
        oldpath: String,
        newpath: String,
    ) -> Result<Status, Self::Error> {
        let (old, new) = (self.real(&oldpath), self.real(&newpath));
        if new.symlink_metadata().is_ok() {
            // SFTP 3 forbids it (draft-ietf-secsh-filexfer-02, 6.5).
            return Err(StatusCode::Failure.with_message("the new name exists"));
        }
        fs::rename(old, new).map_err(failed)?;
        Ok(done(id))
    }

    async fn readlink(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let target = fs::read_link(self.real(&path)).map_err(failed)?;
        Ok(Name {
            id,
            files: vec![Entry::dummy(target.to_string_lossy())],
        })
    }

    async fn symlink(
        &mut self,
        id: u32,
        linkpath: String,
        targetpath: String,
    ) -> Result<Status, Self::Error> {
        symlink(targetpath, self.real(&linkpath)).map_err(failed)?;
        Ok(done(id))
    }
}
