package interop;

/** What message publishes: a message was cancelled. Existing services send the message's id alone. */
public class Canceled extends AbstractEvent {
    public Long id;
    public String messageId;
}
