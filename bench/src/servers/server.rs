//! The servers under measurement: processes of their own, and what the operating system knows about them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::load::connection::Connection;
use crate::servers::Target;
use crate::servers::echo;

/// The port that Pabal ships with.
const SHIPPED_PORT: u16 = 8088;
/// Who is not ready by then never will be.
const START_WITHIN: Duration = Duration::from_mins(1);
/// Who has not stopped by then is killed.
const STOP_WITHIN: Duration = Duration::from_mins(1);

/// A running server. It ends with this, however that ends.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first yes at `/readyz`.
    pub ready_after: Duration,
}

impl Server {
    /// Pabal with its defaults: nothing is set but where the data is.
    pub async fn pabal(args: &Run, data: &Path) -> Result<Self, Failed> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let taken = |error| failed(format!("port {} is needed and cannot be had: {error}", args.port));
        drop(TcpListener::bind(address).map_err(taken)?);
        let mut command = Command::new(std::path::absolute(&args.pabal)?);
        command.current_dir(&args.work).arg("run").arg("--data").arg(std::path::absolute(data)?);
        if args.port != SHIPPED_PORT {
            command.arg("--port").arg(args.port.to_string());
        }
        Self::started(command, address, &args.work.join("pabal.log")).await
    }

    /// Pabal with whatever arguments, once it is ready. Settings of whoever measures are none of its own; its log goes to a
    /// file, as a service manager would have it.
    pub async fn started(mut command: Command, address: SocketAddr, log: &Path) -> Result<Self, Failed> {
        let file = File::create(log)?;
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PABAL_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.map_err(|error| failed(format!("{} cannot be started: {error}", command.get_program().display())))?;
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        while !server.is_ready().await {
            if let Some(status) = server.child.try_wait()? {
                return Err(failed(format!("pabal ended with {status}; see {}", log.display())));
            }
            if started.elapsed() > START_WITHIN {
                return Err(failed(format!("pabal did not become ready; see {}", log.display())));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.address).await else { return false };
        connection.get("/readyz").await.is_ok_and(|answer| answer.status == 200)
    }

    /// The server that only echoes.
    pub fn echo() -> Result<Self, Failed> {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?).arg("echo").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(said) = child.stdout.take() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let port = line.trim().strip_prefix(echo::SAYS).and_then(|port| port.parse::<u16>().ok());
        let port = port.ok_or_else(|| failed("the echoing server did not say its port"))?;
        Ok(Self { child, address: (Ipv4Addr::LOCALHOST, port).into(), ready_after: started.elapsed() })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It alone, under measurement.
    pub fn target(&self) -> Target {
        Target { door: self.address, admin: self.address, view: self.address, pids: vec![self.pid()] }
    }

    /// Stops it in order; how long that took.
    pub async fn stop(mut self) -> Result<Duration, Failed> {
        let started = Instant::now();
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        while started.elapsed() < STOP_WITHIN {
            if self.child.try_wait()?.is_some() {
                return Ok(started.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(failed("a server did not stop when it was told to"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended already need not be killed or waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
