package interop;

/** What message publishes: a message was accepted. */
public class SendSuccess extends AbstractEvent {
    public Long id;
    public String messageId;
    public String userContact;
    public String mno;
    public String sendTime;
    public String chatbotId;
    public String description;
}
