//! Clients of MCP servers: one of its own for each attempt and server, closed when the attempt's toolbox is dropped.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::agent::asking::ToolSpec;
use domain::agent::conversing::{HttpKind, HttpServer, McpServer, StdioServer};
use domain::agent::definition::AgentDefinition;
use domain::agent::message::ToolCall;
use futures_util::future::join_all;
use process_wrap::tokio::{CommandWrap, KillOnDrop, ProcessGroup};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock,
    Implementation, PaginatedRequestParams, ResourceContents,
};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ServiceExt, model::Tool};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::timeout;
use url::Url;

use crate::outgoing::Outgoing;
use crate::tools::mcp_wire::Wire;
use crate::tools::secrets::Variables;
use crate::tools::{Outcome, ToolSettings, http};

/// The most tools of one server.
const TOOLS_MAX: usize = 256;

/// The most pages of a server's list of tools.
const PAGES_MAX: usize = 32;

/// What every program needs and no secret stands in. The rest of our environment is not for tool servers.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ", "SSL_CERT_FILE"];

/// How much of what a program last said to its standard error a note repeats, in bytes.
const LAST_WORDS: usize = 300;

/// How long they are waited for, once the program has gone.
const LAST_WORDS_TIME: Duration = Duration::from_millis(200);

/// A server that was opened.
struct Client {
    speaking: RunningService<RoleClient, ClientConfig>,
    /// Over HTTP: the requests of this server end with it.
    _open: Option<watch::Sender<()>>,
}

/// The servers that opened, and whose each tool is.
#[derive(Default)]
pub(crate) struct Servers {
    clients: Vec<Client>,
    /// By the name under which it is offered: whose client, and its name there.
    tools: BTreeMap<String, (usize, String)>,
}

impl Servers {
    /// Opens all servers of a definition side by side; beside them the tools that they offer, and why others do not.
    pub(crate) async fn open(
        outgoing: &Outgoing,
        settings: &ToolSettings,
        definition: &AgentDefinition,
        variables: &Variables,
    ) -> (Self, Vec<ToolSpec>, Vec<String>) {
        let (mut servers, mut specs, mut notes) = (Self::default(), Vec::new(), Vec::new());
        let opening = definition.mcp_servers.iter().map(async |(name, server)| {
            let limit = Duration::from_millis(settings.open_timeout.0);
            let opened = match timeout(limit, open(outgoing, settings, server, variables)).await {
                Ok(opened) => opened,
                Err(_) => Err(format!("it did not open within {} ms", limit.as_millis())),
            };
            (name, opened)
        });
        for (name, opened) in join_all(opening).await {
            let (client, tools) = match opened {
                Ok(opened) => opened,
                Err(why) => {
                    let why = variables.out_of_text(&why);
                    notes.push(format!("The tool server `{name}` is not there: {why}."));
                    continue;
                }
            };
            let wanted = wanted(name, &definition.tool_names);
            let at = servers.clients.len();
            servers.clients.push(client);
            let offered = tools
                .iter()
                .filter(|tool| wanted.is_empty() || wanted.iter().any(|name| **name == *tool.name));
            for tool in offered {
                let known = format!("{name}__{}", tool.name);
                specs.push(spec(&known, tool));
                servers
                    .tools
                    .insert(known, (at, tool.name.clone().into_owned()));
            }
            for absent in wanted
                .iter()
                .filter(|name| tools.iter().all(|tool| tool.name != ***name))
            {
                notes.push(format!("The tool server `{name}` has no tool `{absent}`."));
            }
        }
        (servers, specs, notes)
    }

    /// Carries out a call of a server's tool; nothing where it is nobody's.
    pub(crate) async fn call(&self, call: &ToolCall, settings: &ToolSettings) -> Option<Outcome> {
        let (at, name) = self.tools.get(&call.name)?;
        let client = self.clients.get(*at)?;
        let arguments = match &call.input {
            Value::Object(input) => input.clone(),
            Value::Null => Map::new(),
            _ => return Some(Outcome::bad("the input must be an object")),
        };
        let params = CallToolRequestParams::new(name.clone()).with_arguments(arguments);
        let limit = Duration::from_millis(settings.call_timeout.0);
        Some(
            match timeout(limit, client.speaking.call_tool(params)).await {
                Ok(Ok(result)) => outcome(result),
                Ok(Err(ServiceError::McpError(error))) => Outcome::bad(error.message.into_owned()),
                Ok(Err(error)) => Outcome::bad(format!("the tool server failed: {error}")),
                Err(_) => Outcome::bad(format!(
                    "the tool did not answer within {} ms",
                    limit.as_millis()
                )),
            },
        )
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Servers({:?})", self.tools.keys())
    }
}

/// The tools of a server that a definition names, as `server/tool`; none where it wants all.
fn wanted<'a>(server: &str, names: &'a [String]) -> Vec<&'a str> {
    let of = |name: &'a String| name.rsplit_once('/').filter(|(owner, _)| *owner == server);
    names.iter().filter_map(of).map(|(_, tool)| tool).collect()
}

fn spec(name: &str, tool: &Tool) -> ToolSpec {
    let annotations = tool.annotations.as_ref();
    ToolSpec {
        name: name.to_owned(),
        description: tool.description.clone().unwrap_or_default().into_owned(),
        input_schema: Value::Object((*tool.input_schema).clone()),
        read_only: annotations.and_then(|said| said.read_only_hint) == Some(true),
    }
}

async fn open(
    outgoing: &Outgoing,
    settings: &ToolSettings,
    server: &McpServer,
    variables: &Variables,
) -> Result<(Client, Vec<Tool>), String> {
    let client = match server {
        McpServer::Stdio(server) => started(settings, server, variables).await?,
        McpServer::Http(server) => connected(outgoing, settings, server, variables).await?,
    };
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = PaginatedRequestParams::default().with_cursor(cursor.take());
        let page = client.speaking.list_tools(Some(page)).await;
        let page = page.map_err(|error| format!("it did not list its tools: {error}"))?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() || tools.len() >= TOOLS_MAX {
            break;
        }
    }
    tools.truncate(TOOLS_MAX);
    Ok((client, tools))
}

fn ourselves() -> ClientConfig {
    let name = Implementation::new("afterplan", env!("CARGO_PKG_VERSION"));
    ClientConfig::new(ClientCapabilities::default(), name)
}

/// Starts a program, in a group of its own so that all of it can be ended.
async fn started(
    settings: &ToolSettings,
    server: &StdioServer,
    variables: &Variables,
) -> Result<Client, String> {
    let allowed = settings.commands.as_ref();
    if allowed.is_some_and(|known| !known.contains(&server.command)) {
        return Err(format!(
            "the configuration does not let `{}` be started",
            server.command
        ));
    }
    let mut command = Command::new(&server.command);
    command.args(&server.args).env_clear();
    for name in PASSED_ON {
        if let Some(value) = variables.plain(name) {
            command.env(name, value);
        }
    }
    for (name, value) in &server.env {
        command.env(name, variables.put_in(value)?);
    }
    let mut wrapped = CommandWrap::from(command);
    wrapped.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    let (transport, errors) = TokioChildProcess::builder(wrapped)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{}` does not start: {error}", server.command))?;
    let last_words = Arc::new(Mutex::new(Vec::new()));
    // Read, so that the program never waits for its words to be heard.
    let overhearing = errors.map(|errors| tokio::spawn(overhear(errors, last_words.clone())));
    let error = match ourselves().serve(transport).await {
        Ok(speaking) => {
            let _open = None;
            return Ok(Client { speaking, _open });
        }
        Err(error) => error,
    };
    if let Some(overhearing) = overhearing {
        // What it said before it went may still be on its way.
        let _ = timeout(LAST_WORDS_TIME, overhearing).await;
    }
    let words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
    let words = String::from_utf8_lossy(&words)
        .trim()
        .replace(char::is_control, " ");
    Err(match words.is_empty() {
        true => format!("it does not speak MCP: {error}"),
        false => format!("it does not speak MCP: {error}; it said: {words}"),
    })
}

/// Keeps the end of what a program says to its standard error.
async fn overhear(mut errors: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(read) = errors.read(&mut piece).await {
        if read == 0 {
            return;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&piece[..read]);
        let over = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..over);
    }
}

async fn connected(
    outgoing: &Outgoing,
    settings: &ToolSettings,
    server: &HttpServer,
    variables: &Variables,
) -> Result<Client, String> {
    if server.kind == HttpKind::Sse {
        return Err(
            "it speaks the older form with two addresses, which is not supported".to_owned(),
        );
    }
    let mut url =
        Url::parse(&server.url).map_err(|error| format!("its address is no URL: {error}"))?;
    for (name, value) in &server.params {
        let value = variables.put_in(value)?;
        url.query_pairs_mut().append_pair(name, &value);
    }
    let own = http::headers(&server.headers, variables).map_err(|failure| failure.message)?;
    let (open, still_open) = watch::channel(());
    let wire = Wire::new(outgoing, own, settings.answer_max, still_open);
    let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
    let transport = StreamableHttpClientTransport::with_client(wire, config);
    let speaking = ourselves().serve(transport).await;
    let speaking = speaking.map_err(|error| format!("it does not speak MCP: {error}"))?;
    Ok(Client {
        speaking,
        _open: Some(open),
    })
}

/// What a tool gave, as a model is shown it: its structure where it has one, else its texts.
fn outcome(result: CallToolResult) -> Outcome {
    let failed = result.is_error == Some(true);
    if let Some(output) = result.structured_content.filter(|_| !failed) {
        return Outcome::good(output);
    }
    let texts: Vec<String> = result.content.into_iter().map(text).collect();
    let text = texts.join("\n");
    let output = match failed {
        true => json!({"errorMessage": text}),
        false => Value::String(text),
    };
    Outcome { output, failed }
}

fn text(block: ContentBlock) -> String {
    let left_out = |what: &str, kind: &str, size: usize| {
        format!("[{what} ({kind}, {size} characters) is left out]")
    };
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => left_out("an image", &image.mime_type, image.data.len()),
        ContentBlock::Audio(audio) => left_out("a recording", &audio.mime_type, audio.data.len()),
        ContentBlock::Resource(resource) => match resource.resource {
            ResourceContents::TextResourceContents { text, .. } => text,
            ResourceContents::BlobResourceContents { uri, blob, .. } => {
                left_out("a resource", &uri, blob.len())
            }
            _ => "[a resource is left out]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[a resource at {}]", link.uri),
        _ => "[something is left out]".to_owned(),
    }
}
